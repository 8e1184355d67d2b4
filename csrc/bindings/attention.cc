// attention: scores, softmax over the keys, and the sum of the values.
#include "bindings/module.h"
#include "bindings/ops.h"

namespace fastrnn::bindings {
namespace {

template <class T>
struct AttentionCall {
  py::array q, k, v;
  Array energy, mask;
  Attention<T> call{};

  AttentionCall(py::handle q_value, py::handle k_value, py::handle v_value, py::handle mask_value,
                py::handle energy_value, double scale)
      : q(input<T>(q_value, "q")), k(input<T>(k_value, "k")), v(input<T>(v_value, "v")) {
    check_shape(q, "q", {-1, -1, -1}, "(S, B, D)");
    const ptrdiff_t rows = q.shape(1), depth = q.shape(2);
    check_shape(k, "k", {-1, rows, depth}, "(T, B, D)");
    const ptrdiff_t keys = k.shape(0);
    check_shape(v, "v", {keys, rows, -1}, "(T, B, E)");
    if (!mask_value.is_none()) {
      mask = array(mask_value, "mask");
      if (mask.dtype().kind() != 'b') fail_type("mask", "bool", dtype_name(mask));
      check_shape(mask, "mask", {rows, keys}, "(B, T)");
      if (!(mask.flags() & py::array::c_style)) mask = py::array(mask.attr("copy")());
      call.mask = static_cast<const std::uint8_t*>(mask.data());
    }
    if (!energy_value.is_none()) {
      energy = contiguous<T>(energy_value, "energy");
      check_shape(energy, "energy", {depth}, "(D,)");
      call.energy = pointer<T>(energy);
    }
    call.queries = q.shape(0);
    call.keys = keys;
    call.rows = rows;
    call.depth = depth;
    call.width = v.shape(2);
    call.q = rows3<T>(q, false);
    call.k = rows3<T>(k, false);
    call.v = rows3<T>(v, false);
    call.scale = static_cast<T>(scale);
    call.threads = static_cast<int>(std::min<ptrdiff_t>(
        team_for_flops(2, call.queries * rows, keys, depth + call.width), std::max<ptrdiff_t>(rows, 1)));
  }
  Dims weights_dims() const { return {call.rows, call.queries, call.keys}; }
};

template <class T>
py::tuple attention(py::handle q, py::handle k, py::handle v, py::handle mask, py::handle energy, double scale) {
  AttentionCall<T> c(q, k, v, mask, energy, scale);
  py::array context = pooled<T>({c.call.queries, c.call.rows, c.call.width}, "context");
  py::array weights = pooled<T>(c.weights_dims(), "weights");
  c.call.context = mutable_rows3<T>(context, false);
  c.call.weights = mutable_pointer<T>(weights);
  {
    const py::gil_scoped_release release;
    kernels().of<T>().ops.attention(c.call);
  }
  return py::make_tuple(context, weights);
}

template <class T>
py::tuple attention_backward(py::handle dcontext_value, py::handle weights_value, py::handle q, py::handle k,
                             py::handle v, py::handle mask, py::handle energy, double scale, py::handle denergy) {
  AttentionCall<T> c(q, k, v, mask, energy, scale);
  const py::array weights = contiguous<T>(weights_value, "weights"), dcontext = input<T>(dcontext_value, "dcontext");
  check_shape(weights, "weights", c.weights_dims(), "(B, S, T)");
  check_shape(dcontext, "dcontext", {c.call.queries, c.call.rows, c.call.width}, "(S, B, E)");
  if (energy.is_none() != denergy.is_none())
    fail_type("denergy", energy.is_none() ? "None without energy" : "an array like energy", type_name(denergy));
  py::array dq = pooled<T>(shape_of(c.q), "dq"), dk = pooled<T>(shape_of(c.k), "dk"),
            dv = pooled<T>(shape_of(c.v), "dv");
  c.call.weights = mutable_pointer<T>(weights);
  AttentionBackward<T> call{c.call,
                            rows3<T>(dcontext, false),
                            mutable_rows3<T>(dq, false),
                            mutable_rows3<T>(dk, false),
                            mutable_rows3<T>(dv, false),
                            gradient<T>(denergy, "denergy", {c.call.depth}, "(D,)"),
                            nullptr};
  const OpKernels<T>& ops = kernels().of<T>().ops;
  const Block scratch = scratch_of<T>(ops.attention_scratch(c.call));
  call.scratch = scratch.as<T>();
  {
    const py::gil_scoped_release release;
    ops.attention_backward(call);
  }
  return py::make_tuple(dq, dk, dv);
}

}  // namespace

void bind_attention(py::module_& m) {
  using py::arg;
  using H = py::handle;
  m.def(
      "attention",
      [](H q, H k, H v, H mask, H energy, double scale) {
        return (is_float32(q, "q") ? attention<float> : attention<double>)(q, k, v, mask, energy, scale);
      },
      arg("q"), arg("k"), arg("v"), arg("mask").none(true), arg("energy").none(true), arg("scale"));
  m.def(
      "attention_backward",
      [](H dcontext, H weights, H q, H k, H v, H mask, H energy, double scale, H denergy) {
        const auto call = is_float32(q, "q") ? attention_backward<float> : attention_backward<double>;
        return call(dcontext, weights, q, k, v, mask, energy, scale, denergy);
      },
      arg("dcontext"), arg("weights"), arg("q"), arg("k"), arg("v"), arg("mask").none(true), arg("energy").none(true),
      arg("scale"), arg("denergy").none(true));
}

}  // namespace fastrnn::bindings
