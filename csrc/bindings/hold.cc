// hold: the states that a module of a Clockwork network holds between its updates.
#include "bindings/ops.h"

namespace fastrnn::bindings {
namespace {

template <class T>
void hold(py::handle value, ptrdiff_t start, ptrdiff_t period, bool backward) {
  const py::array a = part<T>(value, "a", {-1, -1, -1}, "(T, B, H)");
  if (start < 1 || period < 1) fail_value("period", "start >= 1 and period >= 1", text({start, period}));
  const ptrdiff_t steps = a.shape(0), rows = a.shape(1), columns = a.shape(2);
  const Hold<T> call{
      steps,
      rows,
      columns,
      mutable_rows3<T>(a, false),
      start,
      period,
      backward,
      static_cast<int>(std::min<ptrdiff_t>(team_for_bytes<T>(steps * rows, columns), std::max<ptrdiff_t>(rows, 1)))};
  const py::gil_scoped_release release;
  kernels().of<T>().ops.hold(call);
}

}  // namespace

void bind_hold(py::module_& m) {
  m.def(
      "hold",
      [](py::handle a, ptrdiff_t start, ptrdiff_t period, bool backward) {
        (is_float32(a, "a") ? hold<float> : hold<double>)(a, start, period, backward);
      },
      py::arg("a"), py::arg("start"), py::arg("period"), py::arg("backward"));
}

}  // namespace fastrnn::bindings
