// The one place where the C++ side checks arguments.  A message names the argument, the rule and what came.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/args.h"
#include "base/workspace.h"

namespace fastrnn::bindings {

namespace py = pybind11;

// The lengths of the axes of an array, in place.
class Dims {
 public:
  static constexpr std::size_t kMost = 64;  // as NumPy

  Dims() = default;
  Dims(std::initializer_list<ptrdiff_t> values) : Dims(values.begin(), values.size()) {}
  Dims(const ptrdiff_t* values, std::size_t count) : count_(count) { std::copy_n(values, count, values_); }
  Dims(const Dims& other) : Dims(other.values_, other.count_) {}
  Dims& operator=(const Dims& other) {
    count_ = other.count_;
    std::copy_n(other.values_, count_, values_);
    return *this;
  }
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  ptrdiff_t operator[](std::size_t i) const { return values_[i]; }
  ptrdiff_t& back() { return values_[count_ - 1]; }
  void push_back(ptrdiff_t value) { values_[count_++] = value; }
  void pop_back() { --count_; }
  const ptrdiff_t* begin() const { return values_; }
  const ptrdiff_t* end() const { return values_ + count_; }

 private:
  std::size_t count_ = 0;
  ptrdiff_t values_[kMost + 1];  // one may be added
};

[[noreturn]] void fail_type(const std::string& name, const std::string& expected, const std::string& got);
[[noreturn]] void fail_value(const std::string& name, const std::string& expected, const std::string& got);
std::string printable(const std::string& bytes);  // what is no UTF-8, escaped: a message is text

std::string text(const Dims& dims);  // "(4, 3)"
std::string type_name(py::handle value);
std::string dtype_name(const py::array& a);
Dims shape_of(const py::array& a);

// An array, or nothing; py::array() would make one.
class Array : public py::array {
 public:
  Array() : py::array(py::handle(), stolen_t{}) {}
  Array(py::array a) : py::array(std::move(a)) {}
};

// An ndarray, or TypeError.
py::array array(py::handle value, const std::string& name);

// A tuple of so many, or TypeError that says what it is to be.
py::tuple tuple_of(py::handle value, std::size_t count, const std::string& name, const char* expected);

// True: float32, false: float64; TypeError for anything else.  The dtype of the weights decides for a whole call.
bool is_float32(py::handle value, const std::string& name);

// Checks rank and shape.  -1 in `dims` is free; `symbols` is what the message calls it: "(4*H, H)".
void check_shape(const py::array& a, const std::string& name, const Dims& dims, const char* symbols);

// Whether the data and the strides of all axes are multiples of an element.
bool is_aligned(const py::array& a);

// The bytes of an object with a C-contiguous buffer, while this lives.
class Bytes {
 public:
  Bytes(const py::buffer& value, const char* name);
  std::string_view view() const {
    return {static_cast<const char*>(info_.ptr), static_cast<std::size_t>(info_.size * info_.itemsize)};
  }

 private:
  py::buffer_info info_;
};

// A float array of T with a contiguous last axis and strides that are whole elements.  Copies only what cannot be
// addressed otherwise (elements that straddle their own size).
py::array checked_input(py::handle value, const std::string& name, bool float32);
template <class T>
py::array input(py::handle value, const std::string& name) {
  return checked_input(value, name, std::is_same_v<T, float>);
}

// A writable, aligned, C-contiguous array of T: a buffer that gradients are added into.
py::array checked_output(py::handle value, const std::string& name, bool float32);
template <class T>
py::array output(py::handle value, const std::string& name) {
  return checked_output(value, name, std::is_same_v<T, float>);
}

// A part of an array of T that results are written into: writable, aligned, with a contiguous last axis.
py::array checked_part(py::handle value, const std::string& name, bool float32, const Dims& dims, const char* symbols);
template <class T>
py::array part(py::handle value, const std::string& name, const Dims& dims, const char* symbols) {
  return checked_part(value, name, std::is_same_v<T, float>, dims, symbols);
}

template <class T>
const T* pointer(const py::array& a) {
  return static_cast<const T*>(a.data());
}
template <class T>
T* mutable_pointer(const py::array& a) {
  return static_cast<T*>(const_cast<void*>(a.data()));
}
template <class T>
ptrdiff_t stride(const py::array& a, int axis) {
  return a.strides(axis) / static_cast<ptrdiff_t>(sizeof(T));
}

// Rows of a rank-3 array; batch_first swaps the axes so that the outer one is the step.
template <class T>
Rows<const T> rows3(const py::array& a, bool batch_first) {
  return {pointer<T>(a), stride<T>(a, batch_first ? 1 : 0), stride<T>(a, batch_first ? 0 : 1)};
}
template <class T>
Rows<T> mutable_rows3(const py::array& a, bool batch_first) {
  return {mutable_pointer<T>(a), stride<T>(a, batch_first ? 1 : 0), stride<T>(a, batch_first ? 0 : 1)};
}

// Integer array (int32 or int64) of rank `dims.size()` as compact int32 [outer, inner], step-major; each in
// [0, limit), or equal to `ignored`, which becomes -1, as does, unread, what the bool array `mask` leaves out.
struct Tokens {
  Block block;
  ptrdiff_t outer = 0, inner = 0;
  const std::int32_t* data() const { return block.as<const std::int32_t>(); }
  void reverse();  // the order of the outer axis
};
Tokens tokens(py::handle value, const std::string& name, bool batch_first, ptrdiff_t limit,
              const std::int64_t* ignored = nullptr, py::handle mask = py::none());

// A width in whole blocks of units.
constexpr ptrdiff_t round_to_block(ptrdiff_t n) { return (n + kBlock - 1) / kBlock * kBlock; }

// Memory for elements.
template <class T>
Block block_of(ptrdiff_t elements, const char* what) {
  return acquire(static_cast<std::size_t>(elements) * sizeof(T), what);
}
template <class T>
Block scratch_of(ptrdiff_t elements) {
  return acquire_scratch(static_cast<std::size_t>(elements) * sizeof(T));
}

// A new array on a block of the pool, contents unspecified.
py::array pooled(const Dims& shape, bool float32, const char* what);
template <class T>
py::array pooled(const Dims& shape, const char* what) {
  return pooled(shape, std::is_same_v<T, float>, what);
}

// Nobody may write into it any more.
void make_read_only(const py::array& a);

// Product of sizes, or OverflowError-safe failure: MemoryError that names the shape.
std::size_t bytes_of(const Dims& shape, std::size_t element, const char* what);

// For Forward and Backward: lets Ctrl-C end a long call.
bool interrupted();

}  // namespace fastrnn::bindings
