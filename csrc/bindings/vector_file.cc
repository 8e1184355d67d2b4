// Records of word2vec files from and to bytes.
#include "base/vector_file.h"

#include <memory>

#include "bindings/args.h"
#include "bindings/module.h"

namespace fastrnn::bindings {
namespace {

// (words, bytes consumed, what was expected or None, where that begins, where it ends).  A word that cannot be decoded
// ends the reading with "text": the caller knows how to say what is wrong with it.
template <class T>
py::tuple read(const py::buffer& data, ptrdiff_t begin, ptrdiff_t end, bool binary, bool last, py::handle rows_value,
               const std::string& encoding, const std::string& errors) {
  const Bytes bytes(data, "data");
  const py::array rows = output<T>(rows_value, "rows");
  check_shape(rows, "rows", {-1, -1}, "(N, D)");
  const ptrdiff_t most = rows.shape(0), size = rows.shape(1);
  const auto length = static_cast<ptrdiff_t>(bytes.view().size());
  if (begin < 0 || begin > end || end > length)
    fail_value("begin, end", "a range of " + std::to_string(length) + " bytes", text({begin, end}));
  const char* from = bytes.view().data() + begin;
  const auto words = std::make_unique<Word[]>(static_cast<std::size_t>(most));
  Records found;
  {
    const py::gil_scoped_release release;
    if constexpr (sizeof(T) == sizeof(float)) {
      if (binary) found = read_binary(from, end - begin, most, size, mutable_pointer<T>(rows), words.get());
    }
    if (!binary) found = read_text<T>(from, end - begin, last, most, size, mutable_pointer<T>(rows), words.get());
  }
  py::list decoded;
  for (ptrdiff_t i = 0; i < found.count; ++i) {
    const Word w = words[static_cast<std::size_t>(i)];
    PyObject* word = PyUnicode_Decode(from + w.begin, w.end - w.begin, encoding.c_str(), errors.c_str());
    if (word == nullptr) {
      if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) throw py::error_already_set();
      PyErr_Clear();
      return py::make_tuple(decoded, found.consumed, "text", w.begin, w.end);
    }
    decoded.append(py::reinterpret_steal<py::object>(word));
  }
  const py::object problem = found.problem == nullptr ? py::object(py::none()) : py::str(found.problem);
  return py::make_tuple(decoded, found.consumed, problem, found.at, found.at);
}

template <class T>
py::bytes write(const py::list& words, py::handle rows_value, bool binary) {
  const py::array rows = input<T>(rows_value, "rows");
  check_shape(rows, "rows", {static_cast<ptrdiff_t>(words.size()), -1}, "(N, D)");
  const ptrdiff_t size = rows.shape(1);
  std::string out;
  out.reserve(words.size() * static_cast<std::size_t>(16 + size * (binary ? 4 : 12)));
  for (std::size_t i = 0; i < words.size(); ++i) {
    char* word;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(words[i].ptr(), &word, &length) != 0) {
      PyErr_Clear();
      fail_type("words[" + std::to_string(i) + "]", "bytes", type_name(words[i]));
    }
    out.append(word, static_cast<std::size_t>(length));
    const T* row = pointer<T>(rows) + static_cast<ptrdiff_t>(i) * stride<T>(rows, 0);
    if (binary) {
      out.push_back(' ');
      out.append(reinterpret_cast<const char*>(row), static_cast<std::size_t>(size) * sizeof(T));
    } else {
      append_text(out, row, size);
      out.push_back('\n');
    }
  }
  return py::bytes(out);
}

}  // namespace

void bind_vector_file(py::module_& m) {
  using py::arg;
  m.def(
      "read_records",
      [](const py::buffer& data, ptrdiff_t begin, ptrdiff_t end, bool binary, bool last, py::handle rows,
         const std::string& encoding, const std::string& errors) {
        return binary || is_float32(rows, "rows")
                   ? read<float>(data, begin, end, binary, last, rows, encoding, errors)
                   : read<double>(data, begin, end, binary, last, rows, encoding, errors);
      },
      arg("data"), arg("begin"), arg("end"), arg("binary"), arg("last"), arg("rows"), arg("encoding"), arg("errors"));
  m.def(
      "write_records",
      [](const py::list& words, py::handle rows, bool binary) {
        return binary || is_float32(rows, "rows") ? write<float>(words, rows, binary)
                                                  : write<double>(words, rows, binary);
      },
      arg("words"), arg("rows"), arg("binary"));
}

}  // namespace fastrnn::bindings
