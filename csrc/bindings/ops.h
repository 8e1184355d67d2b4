// What the bindings of csrc/base/ops.h share.
#pragma once

#include "base/ops.h"
#include "base/threads.h"
#include "bindings/args.h"
#include "dispatch.h"

namespace fastrnn::bindings {

void bind_optim(py::module_& m);  // optim.cc, called by bind_ops

// An input whose rows follow each other; only a strided one is copied.
template <class T>
py::array contiguous(py::handle value, const std::string& name) {
  const py::array a = input<T>(value, name);
  return a.flags() & py::array::c_style ? a : py::array(a.attr("copy")());
}

// A number in [0, 2**64).
std::uint64_t word(py::handle value, const char* name);

template <class T>
Block scratch_of(ptrdiff_t elements) {
  return acquire(static_cast<std::size_t>(elements) * sizeof(T), "scratch");
}

// Threads worth waking: some ten microseconds of work each.
int team_for(double work, double per_thread);
inline int team_for_flops(int factor, ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t outputs) {
  return team_for(factor * static_cast<double>(rows) * static_cast<double>(inputs) * static_cast<double>(outputs), 1e6);
}
template <class T>
int team_for_bytes(ptrdiff_t rows, ptrdiff_t columns) {
  return team_for(static_cast<double>(rows) * static_cast<double>(columns) * sizeof(T), 2e5);
}

}  // namespace fastrnn::bindings
