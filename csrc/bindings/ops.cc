// The kernels around the cells: linear, embedding, dropout, softmax cross entropy and elementwise functions.
#include "bindings/ops.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "bindings/module.h"
#include "bindings/plan.h"

namespace fastrnn::bindings {
namespace {

using Int = long long;

template <class T>
const void* pairs_of(bool bfloat16) {
  return bfloat16 && std::is_same_v<T, float> ? fast_pairs() : nullptr;
}

template <class T>
py::array linear(py::handle x_value, py::handle weight, py::handle bias, bool bfloat16) {
  const LinearWeights<T> w(weight, bias, "(O, I)", "(O,)");
  const Grid<T> x(x_value, "x", "(N, I) or (T, B, I)", w.inputs);
  py::array y = x.like(w.outputs, "y");
  if (x.count() == 0) return y;
  Linear<T> call{x.steps,
                 x.rows,
                 w.inputs,
                 w.outputs,
                 x.view(),
                 pointer<T>(w.weight),
                 w.inputs,
                 w.bias_pointer(),
                 Grid<T>::template view_of<T>(y),
                 team_for_flops(2, x.count(), w.inputs, w.outputs),
                 pairs_of<T>(bfloat16),
                 nullptr};
  run_on_scratch<T>(&OpKernels<T>::linear_scratch, &OpKernels<T>::linear, call);
  return y;
}

template <class T>
py::object linear_backward(py::handle dy_value, py::handle x_value, py::handle weight, py::handle dweight,
                           py::handle dbias, bool want_dx, bool bfloat16) {
  const LinearWeights<T> w(weight, py::none(), "(O, I)", "(O,)");
  const Grid<T> x(x_value, "x", "(N, I) or (T, B, I)", w.inputs), dy(dy_value, "dy", "(N, O) or (T, B, O)", w.outputs);
  Dims wanted = shape_of(x.array);
  wanted.back() = w.outputs;
  check_shape(dy.array, "dy", wanted, wanted.size() == 2 ? "(N, O)" : "(T, B, O)");
  LinearBackward<T> call{x.steps,
                         x.rows,
                         w.inputs,
                         w.outputs,
                         dy.view(),
                         x.view(),
                         pointer<T>(w.weight),
                         w.inputs,
                         {},
                         false,
                         gradient<T>(dweight, "dweight", {w.outputs, w.inputs}, "(O, I)"),
                         w.inputs,
                         gradient<T>(dbias, "dbias", {w.outputs}, "(O,)"),
                         team_for_flops(4, x.count(), w.inputs, w.outputs),
                         pairs_of<T>(bfloat16),
                         nullptr};
  py::object dx = py::none();
  if (want_dx) {
    py::array a = x.like(w.inputs, "dx");
    call.dx = Grid<T>::template view_of<T>(a);
    dx = a;
  }
  if (x.count() == 0) return dx;
  run_on_scratch<T>(&OpKernels<T>::linear_backward_scratch, &OpKernels<T>::linear_backward, call);
  return dx;
}

template <class T>
py::array embedding(py::handle tokens_value, py::handle table_value) {
  const py::array table = contiguous<T>(table_value, "table");
  check_shape(table, "table", {-1, -1}, "(V, I)");
  const Tokens t = tokens(tokens_value, "tokens", false, table.shape(0));
  Dims dims = shape_of(array(tokens_value, "tokens"));
  dims.push_back(table.shape(1));
  py::array y = pooled<T>(dims, "y");
  const ptrdiff_t count = t.outer * t.inner, columns = table.shape(1);
  if (count == 0 || columns == 0) return y;
  const Embedding<T> call{
      count, columns, t.data(), pointer<T>(table), mutable_pointer<T>(y), team_for_bytes<T>(count, columns)};
  const py::gil_scoped_release release;
  kernels().of<T>().ops.embedding(call);
  return y;
}

template <class T>
void embedding_backward(py::handle tokens_value, py::handle dy_value, py::handle dtable_value) {
  const py::array dtable = output<T>(dtable_value, "dtable");
  check_shape(dtable, "dtable", {-1, -1}, "(V, I)");
  const Grid<T> dy(dy_value, "dy", "(N, I) or (T, B, I)", dtable.shape(1));
  Dims wanted = shape_of(dy.array);
  wanted.pop_back();
  check_shape(array(tokens_value, "tokens"), "tokens", wanted, wanted.size() == 1 ? "(N,)" : "(T, B)");
  const Tokens t = tokens(tokens_value, "tokens", false, dtable.shape(0));
  if (dy.count() == 0 || dy.columns == 0) return;
  const EmbeddingBackward<T> call{dy.steps,
                                  dy.rows,
                                  dy.columns,
                                  t.data(),
                                  dy.view(),
                                  mutable_pointer<T>(dtable),
                                  team_for_bytes<T>(dy.count(), dy.columns)};
  const py::gil_scoped_release release;
  kernels().of<T>().ops.embedding_backward(call);
}

template <class T>
py::array dropout(py::handle x_value, double p, std::uint64_t key, std::uint64_t step, bool batch_first) {
  if (!(p >= 0 && p < 1)) fail_value("p", "a probability in [0, 1)", std::to_string(p));
  const Grid<T> x(x_value, "x", batch_first ? "(N, H) or (B, T, H)" : "(N, H) or (T, B, H)");
  py::array y = x.like(x.columns, "y");
  if (x.array.size() == 0) return y;
  Dropout<T> call{x.steps,
                  x.rows,
                  x.columns,
                  x.view(),
                  Grid<T>::template view_of<T>(y),
                  key,
                  step,
                  static_cast<std::uint32_t>(p * 0x1p32),
                  T(1) / (T(1) - static_cast<T>(p)),
                  team_for_bytes<T>(4 * x.count(), x.columns)};
  if (batch_first && x.array.ndim() == 3) {
    std::swap(call.steps, call.rows);
    std::swap(call.x.outer, call.x.inner);
    std::swap(call.y.outer, call.y.inner);
  }
  const py::gil_scoped_release release;
  kernels().of<T>().ops.dropout(call);
  return y;
}

// Targets with -1 for those that do not count, and the chain of those that do: from the last step to the first, rows of
// the batch ascending.  In pairs a pair is two rows of a step, so that they are the same however a sequence is cut.
struct Targets {
  Tokens tokens;
  ptrdiff_t steps, rows, counted = 0;
  std::vector<ptrdiff_t> chain;
  Targets(py::handle value, const Dims& wanted, ptrdiff_t classes, std::int64_t ignored, py::handle mask, bool paired) {
    check_shape(array(value, "targets"), "targets", wanted, wanted.size() == 1 ? "(N,)" : "(T, B)");
    tokens = bindings::tokens(value, "targets", false, classes, &ignored, mask);
    steps = wanted.size() == 1 ? 1 : wanted[0], rows = wanted[wanted.size() - 1];
    const ptrdiff_t together = paired ? 2 : 1;
    chain.reserve(static_cast<std::size_t>(steps * (rows + together - 1)));
    for (ptrdiff_t t = steps; t-- > 0;)
      for (ptrdiff_t b = 0; b < rows; b += together) {
        const ptrdiff_t before = counted;
        for (ptrdiff_t i = b; i < b + together; ++i) {
          const bool counts = i < rows && tokens.data()[t * rows + i] >= 0;
          chain.push_back(counts ? t * rows + i : -1);
          counted += counts;
        }
        if (counted == before) chain.resize(chain.size() - static_cast<std::size_t>(together));
      }
  }
  // Zeros for the rows that do not count.
  template <class T>
  void clear_others(const Rows<T>& of, ptrdiff_t columns) const {
    for (ptrdiff_t i = 0; i < steps * rows; ++i)
      if (tokens.data()[i] < 0) std::fill_n(of.p + i / rows * of.outer + i % rows * of.inner, columns, T(0));
  }
};

template <class T>
py::tuple cross_entropy(py::handle x_value, py::handle weight, py::handle bias, py::handle targets_value,
                        std::int64_t ignored, bool mean, py::handle mask, bool gradients, double scale,
                        py::handle dweight, py::handle dbias, bool want_dx, bool bfloat16) {
  const LinearWeights<T> w(weight, bias, "(V, I)", "(V,)");
  const Grid<T> x(x_value, "x", "(N, I) or (T, B, I)", w.inputs);
  Dims wanted = shape_of(x.array);
  wanted.pop_back();
  const void* const pairs = pairs_of<T>(bfloat16);
  const Targets targets(targets_value, wanted, w.outputs, ignored, mask, pairs != nullptr);
  const auto count = static_cast<double>(targets.counted);
  const auto length = static_cast<ptrdiff_t>(targets.chain.size());
  CrossEntropy<T> call{x.rows,
                       w.inputs,
                       w.outputs,
                       x.view(),
                       pointer<T>(w.weight),
                       w.bias_pointer(),
                       targets.tokens.data(),
                       targets.chain.data(),
                       length,
                       gradients,
                       static_cast<T>(mean ? scale / count : scale),
                       gradient<T>(dweight, "dweight", {w.outputs, w.inputs}, "(V, I)"),
                       gradient<T>(dbias, "dbias", {w.outputs}, "(V,)"),
                       {},
                       team_for_flops(gradients ? 6 : 2, length, w.inputs, w.outputs),
                       pairs,
                       nullptr,
                       &interrupted};
  py::object dx = py::none();
  if (want_dx) {
    py::array a = x.like(w.inputs, "dx");
    call.dx = Grid<T>::template view_of<T>(a);
    targets.clear_others(call.dx, w.inputs);
    dx = a;
  }
  double loss = 0;
  if (targets.counted > 0) {
    const OpKernels<T>& ops = kernels().of<T>().ops;
    const Block scratch = scratch_of<T>(ops.cross_entropy_scratch(call));
    call.scratch = scratch.as<T>();
    bool stopped;
    {
      const py::gil_scoped_release release;
      stopped = ops.cross_entropy(call, &loss);
    }
    if (stopped) throw py::error_already_set();
  }
  return py::make_tuple(mean ? loss / count : loss, targets.counted, dx);  // the mean of nothing is NaN
}

template <class T>
py::array map(Map which, py::handle x_value) {
  const py::array x = contiguous<T>(x_value, "x");
  py::array y = pooled<T>(shape_of(x), "y");
  const T* from = pointer<T>(x);
  T* to = mutable_pointer<T>(y);
  const ptrdiff_t length = x.size();
  const auto function = kernels().of<T>().ops.map;
  auto body = [&](int) noexcept { function(which, from, to, length); };
  const py::gil_scoped_release release;
  run_team(1, body);  // denormals as in every kernel
  return y;
}

}  // namespace

// The first array named decides between float32 and float64; the others must agree.
#define FASTRNN_BY_TYPE(value, name, function, ...) \
  (is_float32(value, name) ? function<float>(__VA_ARGS__) : function<double>(__VA_ARGS__))

void bind_ops(py::module_& m) {
  using py::arg;
  using H = py::handle;
  m.def(
      "linear",
      [](H x, H weight, H bias, bool bfloat16) {
        return FASTRNN_BY_TYPE(weight, "weight", linear, x, weight, bias, bfloat16);
      },
      arg("x"), arg("weight"), arg("bias").none(true), arg("bfloat16") = false);
  m.def(
      "linear_backward",
      [](H dy, H x, H weight, H dweight, H dbias, bool want_dx, bool bfloat16) {
        return FASTRNN_BY_TYPE(weight, "weight", linear_backward, dy, x, weight, dweight, dbias, want_dx, bfloat16);
      },
      arg("dy"), arg("x"), arg("weight"), arg("dweight").none(true), arg("dbias").none(true), arg("want_dx"),
      arg("bfloat16") = false);
  m.def(
      "embedding", [](H tokens, H table) { return FASTRNN_BY_TYPE(table, "table", embedding, tokens, table); },
      arg("tokens"), arg("table"));
  m.def(
      "embedding_backward",
      [](H tokens, H dy, H dtable) { FASTRNN_BY_TYPE(dtable, "dtable", embedding_backward, tokens, dy, dtable); },
      arg("tokens"), arg("dy"), arg("dtable"));
  m.def(
      "dropout",
      [](H x, double p, H key, H step, bool batch_first) {
        const std::uint64_t k = word(key, "key"), s = word(step, "step");
        return FASTRNN_BY_TYPE(x, "x", dropout, x, p, k, s, batch_first);
      },
      arg("x"), arg("p"), arg("key"), arg("step"), arg("batch_first"));
  m.def(
      "cross_entropy",
      [](H x, H weight, H bias, H targets, Int ignore_index, bool mean, H mask, bool bfloat16) {
        const py::tuple result =
            FASTRNN_BY_TYPE(weight, "weight", cross_entropy, x, weight, bias, targets, ignore_index, mean, mask, false,
                            1.0, py::none(), py::none(), false, bfloat16);
        return py::make_tuple(result[0], result[1]);
      },
      arg("x"), arg("weight"), arg("bias").none(true), arg("targets"), arg("ignore_index"), arg("mean"),
      arg("mask") = py::none(), arg("bfloat16") = false);
  m.def(
      "cross_entropy_grad",
      [](H x, H weight, H bias, H targets, Int ignore_index, bool mean, double scale, H dweight, H dbias, bool want_dx,
         H mask, bool bfloat16) {
        return FASTRNN_BY_TYPE(weight, "weight", cross_entropy, x, weight, bias, targets, ignore_index, mean, mask,
                               true, scale, dweight, dbias, want_dx, bfloat16);
      },
      arg("x"), arg("weight"), arg("bias").none(true), arg("targets"), arg("ignore_index"), arg("mean"), arg("scale"),
      arg("dweight").none(true), arg("dbias").none(true), arg("want_dx"), arg("mask") = py::none(),
      arg("bfloat16") = false);
  for (const auto& [name, which] : {std::pair{"exp", Map::kExp}, {"sigmoid", Map::kSigmoid}, {"tanh", Map::kTanh}})
    m.def(name, [which = which](H x) { return FASTRNN_BY_TYPE(x, "x", map, which, x); }, arg("x"));
  bind_nearest(m);
  bind_optim(m);
  bind_peak(m);
}

}  // namespace fastrnn::bindings
