// convolution: filters over the steps of sequences, and the largest over time.
#include "bindings/module.h"
#include "bindings/ops.h"

namespace fastrnn::bindings {
namespace {

template <class T>
struct ConvolutionCall {
  py::array x, weight;
  Block lengths;
  Convolution<T> call{};

  ConvolutionCall(py::handle x_value, py::handle weight_value, py::handle lengths_value)
      : x(input<T>(x_value, "x")), weight(contiguous<T>(weight_value, "weight")) {
    check_shape(weight, "weight", {-1, -1, -1}, "(F, I, W)");
    if (weight.size() == 0) fail_value("weight", "no axis of length 0", text(shape_of(weight)));
    call.filters = weight.shape(0);
    call.inputs = weight.shape(1);
    call.width = weight.shape(2);
    check_shape(x, "x", {-1, -1, call.inputs}, "(T, B, I)");
    call.steps = x.shape(0);
    call.rows = x.shape(1);
    call.x = rows3<T>(x, false);
    lengths = lengths_of(lengths_value, call.rows, call.steps);
    call.lengths = lengths.template as<const std::int32_t>();
    call.weight = pointer<T>(weight);
    call.threads = static_cast<int>(
        std::min<ptrdiff_t>(team_for_flops(2, call.steps * call.rows, call.inputs * call.width, call.filters),
                            std::max<ptrdiff_t>(call.rows, 1)));
  }
};

template <class T>
py::tuple convolution(py::handle x, py::handle weight, py::handle bias_value, py::handle lengths) {
  ConvolutionCall<T> c(x, weight, lengths);
  const py::array bias = contiguous<T>(bias_value, "bias");
  check_shape(bias, "bias", {c.call.filters}, "(F,)");
  py::array y = pooled<T>({c.call.rows, c.call.filters}, "y");
  py::array_t<std::int32_t> at({c.call.rows, c.call.filters});
  c.call.bias = pointer<T>(bias);
  c.call.y = mutable_pointer<T>(y);
  c.call.at = at.mutable_data();
  run_on_scratch<T>(&OpKernels<T>::convolution_scratch, &OpKernels<T>::convolution, c.call);
  return py::make_tuple(y, at);
}

template <class T>
py::object convolution_backward(py::handle dy_value, py::handle at_value, py::handle x, py::handle weight,
                                py::handle lengths, py::handle dweight, py::handle dbias, bool want_dx) {
  ConvolutionCall<T> c(x, weight, lengths);
  const Dims wanted{c.call.rows, c.call.filters};
  const py::array dy = input<T>(dy_value, "dy");
  check_shape(dy, "dy", wanted, "(B, F)");
  check_shape(array(at_value, "at"), "at", wanted, "(B, F)");
  const std::int64_t none = -1;
  const Tokens at = tokens(at_value, "at", false, c.call.steps, &none);
  const Dims dims{c.call.filters, c.call.inputs, c.call.width};
  const py::array into = output<T>(dweight, "dweight"), bias_into = output<T>(dbias, "dbias");
  check_shape(into, "dweight", dims, "(F, I, W)");
  check_shape(bias_into, "dbias", {c.call.filters}, "(F,)");
  py::object dx = py::none();
  ConvolutionBackward<T> call{c.call,
                              at.data(),
                              {pointer<T>(dy), 0, stride<T>(dy, 0)},
                              {nullptr, 0, 0},
                              mutable_pointer<T>(into),
                              mutable_pointer<T>(bias_into),
                              nullptr};
  if (want_dx) {
    const py::array made = pooled<T>(shape_of(c.x), "dx");
    call.dx = mutable_rows3<T>(made, false);
    dx = made;
  }
  const OpKernels<T>& ops = kernels().of<T>().ops;
  const Block scratch = scratch_of<T>(ops.convolution_backward_scratch(c.call));
  call.scratch = scratch.template as<T>();
  {
    const py::gil_scoped_release release;
    ops.convolution_backward(call);
  }
  return dx;
}

}  // namespace

void bind_convolution(py::module_& m) {
  using py::arg;
  using H = py::handle;
  m.def(
      "convolution",
      [](H x, H weight, H bias, H lengths) {
        return (is_float32(weight, "weight") ? convolution<float> : convolution<double>)(x, weight, bias, lengths);
      },
      arg("x"), arg("weight"), arg("bias"), arg("lengths").none(true));
  m.def(
      "convolution_backward",
      [](H dy, H at, H x, H weight, H lengths, H dweight, H dbias, bool want_dx) {
        const auto call = is_float32(weight, "weight") ? convolution_backward<float> : convolution_backward<double>;
        return call(dy, at, x, weight, lengths, dweight, dbias, want_dx);
      },
      arg("dy"), arg("at"), arg("x"), arg("weight"), arg("lengths").none(true), arg("dweight"), arg("dbias"),
      arg("want_dx"));
}

}  // namespace fastrnn::bindings
