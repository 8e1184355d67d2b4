// pool: one vector for each sequence of a batch.
#include <cstring>

#include "bindings/module.h"
#include "bindings/ops.h"

namespace fastrnn::bindings {

Block lengths_of(py::handle value, ptrdiff_t rows, ptrdiff_t steps) {
  Block block = acquire(static_cast<std::size_t>(rows) * sizeof(std::int32_t), "lengths");
  auto* to = block.as<std::int32_t>();
  if (value.is_none()) {
    for (ptrdiff_t b = 0; b < rows; ++b) to[b] = static_cast<std::int32_t>(steps);
    return block;
  }
  check_shape(array(value, "lengths"), "lengths", {rows}, "(B,)");
  const Tokens found = tokens(value, "lengths", false, steps + 1);
  if (rows > 0) std::memcpy(to, found.data(), static_cast<std::size_t>(rows) * sizeof(std::int32_t));
  return block;
}

namespace {

PoolKind kind_of(const std::string& name) {
  if (name == "last") return PoolKind::kLast;
  if (name == "mean") return PoolKind::kMean;
  if (name == "max") return PoolKind::kMax;
  fail_value("kind", "'last', 'mean' or 'max'", "'" + name + "'");
}

template <class T>
struct PoolCall {
  py::array x;
  Block lengths;
  Pool<T> call{};

  PoolCall(py::handle x_value, py::handle lengths_value, const std::string& kind, ptrdiff_t turned, bool batch_first)
      : x(input<T>(x_value, "x")) {
    check_shape(x, "x", {-1, -1, -1}, batch_first ? "(B, T, H)" : "(T, B, H)");
    call.steps = x.shape(batch_first ? 1 : 0);
    call.rows = x.shape(batch_first ? 0 : 1);
    call.columns = x.shape(2);
    call.x = rows3<T>(x, batch_first);
    call.kind = kind_of(kind);
    if (turned < 0 || turned > call.columns)
      fail_value("turned", "an integer in [0, " + std::to_string(call.columns) + "]", std::to_string(turned));
    call.turned = turned;
    lengths = lengths_of(lengths_value, call.rows, call.steps);
    call.lengths = lengths.template as<const std::int32_t>();
    call.threads = static_cast<int>(std::min<ptrdiff_t>(team_for_bytes<T>(call.steps * call.rows, call.columns),
                                                        std::max<ptrdiff_t>(call.rows, 1)));
  }
};

template <class T>
py::array pool(py::handle x, py::handle lengths, const std::string& kind, ptrdiff_t turned, bool batch_first) {
  PoolCall<T> c(x, lengths, kind, turned, batch_first);
  py::array y = pooled<T>({c.call.rows, c.call.columns}, "y");
  c.call.y = mutable_pointer<T>(y);
  const py::gil_scoped_release release;
  kernels().of<T>().ops.pool(c.call);
  return y;
}

template <class T>
py::array pool_backward(py::handle dy_value, py::handle x, py::handle y_value, py::handle lengths,
                        const std::string& kind, ptrdiff_t turned, bool batch_first) {
  PoolCall<T> c(x, lengths, kind, turned, batch_first);
  const Dims wanted{c.call.rows, c.call.columns};
  const py::array y = contiguous<T>(y_value, "y"), dy = input<T>(dy_value, "dy");
  check_shape(y, "y", wanted, "(B, H)");
  check_shape(dy, "dy", wanted, "(B, H)");
  py::array dx = pooled<T>(shape_of(c.x), "dx");
  c.call.y = mutable_pointer<T>(y);
  c.call.dy = {pointer<T>(dy), 0, stride<T>(dy, 0)};
  c.call.dx = mutable_rows3<T>(dx, batch_first);
  const py::gil_scoped_release release;
  kernels().of<T>().ops.pool_backward(c.call);
  return dx;
}

}  // namespace

void bind_pool(py::module_& m) {
  using py::arg;
  using H = py::handle;
  m.def(
      "pool",
      [](H x, H lengths, const std::string& kind, ptrdiff_t turned, bool batch_first) {
        return (is_float32(x, "x") ? pool<float> : pool<double>)(x, lengths, kind, turned, batch_first);
      },
      arg("x"), arg("lengths").none(true), arg("kind"), arg("turned"), arg("batch_first"));
  m.def(
      "pool_backward",
      [](H dy, H x, H y, H lengths, const std::string& kind, ptrdiff_t turned, bool batch_first) {
        const auto call = is_float32(x, "x") ? pool_backward<float> : pool_backward<double>;
        return call(dy, x, y, lengths, kind, turned, batch_first);
      },
      arg("dy"), arg("x"), arg("y"), arg("lengths").none(true), arg("kind"), arg("turned"), arg("batch_first"));
}

}  // namespace fastrnn::bindings
