// What the bindings of word2vec check beside bindings/args.h.
#pragma once

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

}  // namespace fastrnn::bindings
