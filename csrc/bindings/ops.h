// What the bindings of csrc/base/ops.h share.
#pragma once

#include "base/ops.h"
#include "base/threads.h"
#include "bindings/args.h"
#include "dispatch.h"

namespace fastrnn::bindings {

void bind_nearest(py::module_& m);  // nearest.cc, called by bind_ops
void bind_optim(py::module_& m);    // optim.cc, the same
void bind_peak(py::module_& m);     // peak.cc, the same

// An input whose rows follow each other; only a strided one is copied.
template <class T>
py::array contiguous(py::handle value, const std::string& name) {
  const py::array a = input<T>(value, name);
  return a.flags() & py::array::c_style ? a : py::array(a.attr("copy")());
}

// The rows of [N, columns] or [T, B, columns].
template <class T>
struct Grid {
  py::array array;
  ptrdiff_t steps, rows, columns;
  Grid(py::handle value, const char* name, const char* symbols, ptrdiff_t wanted = -1) : array(input<T>(value, name)) {
    const auto rank = array.ndim();
    if ((rank != 2 && rank != 3) || (wanted >= 0 && array.shape(rank - 1) != wanted))
      fail_value(
          name, "shape " + std::string(symbols) + (wanted >= 0 ? " with a last axis of " + std::to_string(wanted) : ""),
          text(shape_of(array)));
    steps = rank == 3 ? array.shape(0) : 1;
    rows = array.shape(rank - 2);
    columns = array.shape(rank - 1);
  }
  ptrdiff_t count() const { return steps * rows; }
  Rows<const T> view() const { return view_of<const T>(array); }
  template <class E>
  static Rows<E> view_of(const py::array& a) {
    const int rank = static_cast<int>(a.ndim());
    return {mutable_pointer<T>(a), rank == 3 ? stride<T>(a, 0) : 0, stride<T>(a, rank - 2)};
  }
  // A new array of the same leading axes.
  py::array like(ptrdiff_t new_columns, const char* what) const {
    Dims dims = shape_of(array);
    dims.back() = new_columns;
    return pooled<T>(dims, what);
  }
};

template <class T>
struct LinearWeights {
  py::array weight;
  Array bias;
  ptrdiff_t outputs, inputs;
  LinearWeights(py::handle w, py::handle b, const char* symbols, const char* bias_symbols)
      : weight(contiguous<T>(w, "weight")) {
    check_shape(weight, "weight", {-1, -1}, symbols);
    outputs = weight.shape(0);
    inputs = weight.shape(1);
    if (outputs == 0 || inputs == 0) fail_value("weight", "no axis of length 0", text(shape_of(weight)));
    if (b.is_none()) return;
    bias = contiguous<T>(b, "bias");
    check_shape(bias, "bias", {outputs}, bias_symbols);
  }
  const T* bias_pointer() const { return bias ? pointer<T>(bias) : nullptr; }
};

template <class T>
T* gradient(py::handle value, const char* name, const Dims& dims, const char* symbols) {
  if (value.is_none()) return nullptr;
  const py::array a = output<T>(value, name);
  check_shape(a, name, dims, symbols);
  return mutable_pointer<T>(a);
}

// Lengths of rows in [0, steps], as int32 [rows]; None: all are `steps`.  In pool.cc.
Block lengths_of(py::handle value, ptrdiff_t rows, ptrdiff_t steps);

// A number in [0, 2**64).
std::uint64_t word(py::handle value, const char* name);

// Runs a kernel on the scratch that it asks for, without the GIL.
template <class T, class Call>
void run_on_scratch(ptrdiff_t (*OpKernels<T>::*size)(const Call&) noexcept,
                    void (*OpKernels<T>::*kernel)(const Call&) noexcept, Call& call) {
  const OpKernels<T>& ops = kernels().of<T>().ops;
  const Block scratch = scratch_of<T>((ops.*size)(call));
  call.scratch = scratch.as<T>();
  const py::gil_scoped_release release;
  (ops.*kernel)(call);
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
