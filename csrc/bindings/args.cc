#include "bindings/args.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>

namespace fastrnn::bindings {

void fail_type(const std::string& name, const std::string& expected, const std::string& got) {
  throw py::type_error(name + ": expected " + expected + ", got " + got);
}
void fail_value(const std::string& name, const std::string& expected, const std::string& got) {
  throw py::value_error(name + ": expected " + expected + ", got " + printable(got));
}
std::string printable(const std::string& bytes) {
  PyObject* text = PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace");
  if (text == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(text);
}

std::string text(const Dims& dims) {
  std::string out = "(";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(dims[i]);
  }
  return out + (dims.size() == 1 ? ",)" : ")");
}

std::string type_name(py::handle value) {
  return py::str(py::type::handle_of(value).attr("__name__")).cast<std::string>();
}

std::string dtype_name(const py::array& a) { return py::str(a.dtype()).cast<std::string>(); }

Dims shape_of(const py::array& a) { return Dims(a.shape(), static_cast<std::size_t>(a.ndim())); }

py::array array(py::handle value, const std::string& name) {
  if (!py::isinstance<py::array>(value)) fail_type(name, "a NumPy array", type_name(value));
  if (Py_TYPE(value.ptr()) != py::detail::npy_api::get().PyArray_Type_ && py::hasattr(value, "mask"))
    fail_type(name, "an array without a mask (use " + name + ".filled)", type_name(value));
  return py::reinterpret_borrow<py::array>(value);
}

py::tuple tuple_of(py::handle value, std::size_t count, const std::string& name, const char* expected) {
  if (!py::isinstance<py::tuple>(value) || py::len(value) != count) fail_type(name, expected, type_name(value));
  return py::reinterpret_borrow<py::tuple>(value);
}

namespace {

// Of the byte order of this machine.
bool is_float(const py::array& a, bool float32) {
  const py::dtype type = a.dtype();
  return type.num() == (float32 ? py::detail::npy_api::NPY_FLOAT_ : py::detail::npy_api::NPY_DOUBLE_) &&
         type.byteorder() == '=';
}

}  // namespace

bool is_float32(py::handle value, const std::string& name) {
  const py::array a = array(value, name);
  if (is_float(a, true)) return true;
  if (!is_float(a, false)) fail_type(name, "float32 or float64", dtype_name(a));
  return false;
}

void check_shape(const py::array& a, const std::string& name, const Dims& dims, const char* symbols) {
  const auto rank = static_cast<std::size_t>(a.ndim());
  bool fits = rank == dims.size();
  for (std::size_t i = 0; fits && i < rank; ++i) fits = dims[i] < 0 || a.shape()[i] == dims[i];
  if (fits) return;
  const Dims got = shape_of(a);
  std::string expected = "shape " + std::string(symbols);
  if (std::all_of(dims.begin(), dims.end(), [](ptrdiff_t n) { return n >= 0; })) {
    expected += " = " + text(dims);
  } else {
    for (std::size_t i = 0; i < dims.size(); ++i)
      if (dims[i] >= 0 && got.size() == dims.size() && got[i] != dims[i])
        expected += " with axis " + std::to_string(i) + " = " + std::to_string(dims[i]);
  }
  fail_value(name, expected, text(got));
}

namespace {

void check_dtype(const py::array& a, const std::string& name, bool float32) {
  if (is_float(a, float32)) return;
  const std::string wanted = float32 ? "float32" : "float64";
  fail_type(name, wanted, dtype_name(a) + "; use " + name + ".astype(np." + wanted + ")");
}

}  // namespace

bool is_aligned(const py::array& a) {
  if (!(a.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_)) return false;
  for (py::ssize_t i = 0; i < a.ndim(); ++i)
    if (a.shape(i) > 1 && a.strides(i) % a.itemsize() != 0) return false;
  return true;
}

Bytes::Bytes(const py::buffer& value, const char* name) : info_(value.request()) {
  if (PyBuffer_IsContiguous(info_.view(), 'C') == 0) fail_value(name, "contiguous bytes", "a strided buffer");
}

py::array checked_input(py::handle value, const std::string& name, bool float32) {
  const py::array a = array(value, name);
  check_dtype(a, name, float32);
  if (a.ndim() > 0 && a.size() > 0 && a.shape(a.ndim() - 1) > 1 && a.strides(a.ndim() - 1) != a.itemsize())
    fail_value(name, "a contiguous last axis (use np.ascontiguousarray)",
               "a last axis with a stride of " + std::to_string(a.strides(a.ndim() - 1)) + " bytes");
  return is_aligned(a) ? a : py::array(a.attr("copy")());
}

py::array checked_part(py::handle value, const std::string& name, bool float32, const Dims& dims, const char* symbols) {
  const py::array a = checked_input(value, name, float32);
  check_shape(a, name, dims, symbols);
  if (!a.writeable()) fail_value(name, "a writable array", "a read-only one");
  if (a.ptr() != value.ptr()) fail_value(name, "an aligned array", "an unaligned one");
  return a;
}

py::array checked_output(py::handle value, const std::string& name, bool float32) {
  const py::array a = array(value, name);
  check_dtype(a, name, float32);
  if (!a.writeable()) fail_value(name, "a writable array", "a read-only one");
  if (!(a.flags() & py::array::c_style) || !is_aligned(a))
    fail_value(name, "a C-contiguous, aligned array", "one that is not");
  return a;
}

namespace {

template <class Int>
void narrow(const py::array& a, const std::string& name, bool batch_first, ptrdiff_t limit, const std::int64_t* ignored,
            const std::optional<py::array>& mask, Tokens& out) {
  const bool grid = a.ndim() == 2;
  const int outer_axis = grid && !batch_first ? 0 : grid ? 1 : 0, inner_axis = 1 - outer_axis;
  const auto element = [&](const py::array& from, ptrdiff_t i, ptrdiff_t j) {
    return static_cast<const char*>(from.data()) + i * from.strides(outer_axis) +
           (grid ? j * from.strides(inner_axis) : 0);
  };
  auto* to = out.block.as<std::int32_t>();
  for (ptrdiff_t i = 0; i < out.outer; ++i)
    for (ptrdiff_t j = 0; j < out.inner; ++j) {
      Int value;
      std::memcpy(&value, element(a, i, j), sizeof(Int));
      const bool skip = (ignored != nullptr && value == *ignored) || (mask && *element(*mask, i, j) == 0);
      if (!skip && (value < 0 || value >= limit))
        fail_value(name, "integers in [0, " + std::to_string(limit) + ")",
                   std::to_string(value) + " at index " +
                       text(!grid         ? Dims{i}
                            : batch_first ? Dims{j, i}
                                          : Dims{i, j}));
      *to++ = skip ? -1 : static_cast<std::int32_t>(value);
    }
}

}  // namespace

Tokens tokens(py::handle value, const std::string& name, bool batch_first, ptrdiff_t limit, const std::int64_t* ignored,
              py::handle mask) {
  const py::array a = array(value, name);
  const bool wide = py::isinstance<py::array_t<std::int64_t>>(a);
  if (!wide && !py::isinstance<py::array_t<std::int32_t>>(a)) fail_type(name, "int32 or int64", dtype_name(a));
  if (a.ndim() != 1 && a.ndim() != 2) fail_value(name, "rank 1 or 2", text(shape_of(a)));
  if (limit > std::numeric_limits<std::int32_t>::max())
    fail_value(name, "fewer than 2**31 classes", std::to_string(limit));
  std::optional<py::array> chosen;
  if (!mask.is_none()) {
    chosen = array(mask, "mask");
    if (!py::isinstance<py::array_t<bool>>(*chosen)) fail_type("mask", "bool", dtype_name(*chosen));
    check_shape(*chosen, "mask", shape_of(a), a.ndim() == 1 ? "(N,)" : batch_first ? "(B, T)" : "(T, B)");
  }
  Tokens out;
  out.outer = a.ndim() == 1 ? a.shape(0) : a.shape(batch_first ? 1 : 0);
  out.inner = a.ndim() == 1 ? 1 : a.shape(batch_first ? 0 : 1);
  out.block = acquire(static_cast<std::size_t>(a.size()) * sizeof(std::int32_t), name.c_str());
  if (wide)
    narrow<std::int64_t>(a, name, batch_first, limit, ignored, chosen, out);
  else
    narrow<std::int32_t>(a, name, batch_first, limit, ignored, chosen, out);
  return out;
}

std::size_t bytes_of(const Dims& shape, std::size_t element, const char* what) {
  std::size_t bytes = element;
  for (const ptrdiff_t n : shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(n), &bytes) ||
        bytes > static_cast<std::size_t>(std::numeric_limits<ptrdiff_t>::max())) {
      PyErr_Format(PyExc_MemoryError, "cannot allocate %s of shape %s", what, text(shape).c_str());
      throw py::error_already_set();
    }
  return bytes;
}

void Tokens::reverse() {
  auto* const all = block.as<std::int32_t>();
  for (ptrdiff_t i = 0; i < outer / 2; ++i)
    std::swap_ranges(all + i * inner, all + (i + 1) * inner, all + (outer - 1 - i) * inner);
}

py::array pooled(const Dims& shape, bool float32, const char* what) {
  auto block = std::make_unique<Block>(acquire(bytes_of(shape, float32 ? sizeof(float) : sizeof(double), what), what));
  void* data = block->data();
  py::capsule owner(block.get(), [](void* p) { delete static_cast<Block*>(p); });
  block.release();
  const auto& numpy = py::detail::npy_api::get();
  py::dtype type(float32 ? py::detail::npy_api::NPY_FLOAT_ : py::detail::npy_api::NPY_DOUBLE_);
  constexpr int kOwn = py::detail::npy_api::NPY_ARRAY_WRITEABLE_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_ |
                       py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_;
  auto array = py::reinterpret_steal<py::array>(
      numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, type.release().ptr(), static_cast<int>(shape.size()),
                                  reinterpret_cast<const Py_intptr_t*>(shape.begin()), nullptr, data, kOwn, nullptr));
  if (!array) throw py::error_already_set();
  numpy.PyArray_SetBaseObject_(array.ptr(), owner.release().ptr());
  return array;
}

void make_read_only(const py::array& a) {
  py::detail::array_proxy(a.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
}

bool interrupted() {
  const py::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

}  // namespace fastrnn::bindings
