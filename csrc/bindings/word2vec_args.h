// What the bindings of word2vec check beside bindings/args.h.
#pragma once

#include <algorithm>
#include <string>

#include "bindings/args.h"

namespace fastrnn::bindings {

// Far beyond use; scratch of their size can be allocated or refused, and nothing overflows.
constexpr int kMostWindow = 1 << 20, kMostNegatives = 1 << 20, kMostThreads = 1024;

// A contiguous array of T of one axis or, with `pairs`, of shape (length, 2); -1 in `length`: any.
template <class T>
py::array exact(py::handle value, const std::string& name, ptrdiff_t length = -1, bool pairs = false) {
  const py::array a = array(value, name);
  if (!py::isinstance<py::array_t<T>>(a))
    fail_type(name, py::str(py::dtype::of<T>()).cast<std::string>(), dtype_name(a));
  check_shape(a, name, pairs ? Dims{length, 2} : Dims{length}, pairs ? "(N, 2)" : "(N,)");
  if (!(a.flags() & py::array::c_style) || !is_aligned(a))
    fail_value(name, "a C-contiguous, aligned array", "one that is not");
  return a;
}

inline int check_number(const char* name, int value, int least, int most) {
  if (value < least || value > most)
    fail_value(name, "an integer in [" + std::to_string(least) + ", " + std::to_string(most) + "]",
               std::to_string(value));
  return value;
}

// Rows of float32, 64-byte aligned and a multiple of 64 bytes apart.
inline py::array table(py::handle value, const std::string& name, ptrdiff_t rows, ptrdiff_t stride) {
  const py::array a = checked_input(value, name, true);
  if (a.ndim() != 2 || a.shape(0) != rows || a.shape(1) != stride || !(a.flags() & py::array::c_style))
    fail_value(name, "C-contiguous rows of shape " + text({rows, stride}), text(shape_of(a)));
  if (rows > 0 && (stride % kBlock != 0 || reinterpret_cast<std::uintptr_t>(a.data()) % 64 != 0))
    fail_value(name, "rows that begin at multiples of 64 bytes", "others");
  if (!a.writeable()) fail_value(name, "a writable array", "a read-only one");
  return a;
}

template <class T>
void check_range(const py::array& a, const std::string& name, ptrdiff_t low, ptrdiff_t high) {
  const T* p = pointer<T>(a);
  if (a.size() == 0) return;
  T least = p[0], most = p[0];
  for (ptrdiff_t i = 0; i < a.size(); ++i) {
    least = std::min(least, p[i]);
    most = std::max(most, p[i]);
  }
  if (least < low || most >= high)
    fail_value(name, "integers in [" + std::to_string(low) + ", " + std::to_string(high) + ")",
               std::to_string(least < low ? least : most));
}

}  // namespace fastrnn::bindings
