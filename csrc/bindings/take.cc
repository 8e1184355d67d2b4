// take: rows of a matrix by their places.  Batches without padding are made of padded ones so, and back.
#include <algorithm>
#include <cstring>

#include "bindings/ops.h"

namespace fastrnn::bindings {
namespace {

template <class T>
void take(py::handle table_value, py::handle places_value, py::handle to_value) {
  const py::array places = array(places_value, "places");
  if (places.ndim() != 1 || !py::isinstance<py::array_t<std::int64_t>>(places) ||
      !(places.flags() & py::array::c_style))
    fail_value("places", "a contiguous int64 array of shape (N,)", text(shape_of(places)));
  const auto* const place = static_cast<const std::int64_t*>(places.data());
  const ptrdiff_t count = places.size();
  const py::array to = part<T>(to_value, "to", {count, -1}, "(N, C)");
  const ptrdiff_t columns = to.shape(1);
  const py::array table = input<T>(table_value, "table");
  check_shape(table, "table", {-1, columns}, "(M, C)");
  const std::int64_t* const most = std::max_element(place, place + count);
  if (count > 0 && *most >= table.shape(0))
    fail_value("places", "numbers below M = " + std::to_string(table.shape(0)), std::to_string(*most));
  const T* const source = pointer<T>(table);
  T* const target = mutable_pointer<T>(to);
  const ptrdiff_t step = stride<T>(table, 0), to_step = stride<T>(to, 0);
  const auto bytes = static_cast<std::size_t>(columns) * sizeof(T);
  const int threads = team_for_bytes<T>(count, columns);
  auto body = [&](int thread) noexcept {
    for (ptrdiff_t i = count * thread / threads; i < count * (thread + 1) / threads; ++i) {
      if (place[i] >= 0)
        std::memcpy(target + i * to_step, source + place[i] * step, bytes);
      else
        std::memset(target + i * to_step, 0, bytes);
    }
  };
  const py::gil_scoped_release release;
  run_team(threads, body);
}

}  // namespace

void bind_take(py::module_& m) {
  m.def(
      "take",
      [](py::handle table, py::handle places, py::handle to) {
        (is_float32(to, "to") ? take<float> : take<double>)(table, places, to);
      },
      py::arg("table"), py::arg("places"), py::arg("to"));
}

}  // namespace fastrnn::bindings
