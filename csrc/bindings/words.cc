// Words: tables made from their counts, their n-grams, text to ids.
#include <pybind11/stl.h>

#include <cmath>

#include "base/ngrams.h"
#include "base/text.h"
#include "base/vocabulary.h"
#include "bindings/module.h"
#include "bindings/word2vec_args.h"

namespace fastrnn::bindings {
namespace {

py::array make_alias_table(py::handle weights_value) {
  const py::array weights = exact<double>(weights_value, "weights");
  double total = 0;
  for (ptrdiff_t i = 0; i < weights.size(); ++i) {
    const double w = pointer<double>(weights)[i];
    if (!(w >= 0 && std::isfinite(w))) fail_value("weights", "finite numbers >= 0", std::to_string(w));
    total += w;
  }
  if (!(total > 0 && std::isfinite(total))) fail_value("weights", "a finite sum > 0", std::to_string(total));
  py::array_t<std::uint32_t> table({weights.size(), ptrdiff_t{2}});
  alias_table(pointer<double>(weights), weights.size(), reinterpret_cast<Alias*>(table.mutable_data()));
  return table;
}

template <class T>
py::array_t<T> to_array(const std::vector<T>& v) {
  return py::array_t<T>(static_cast<ptrdiff_t>(v.size()), v.data());
}

py::tuple make_huffman_paths(py::handle counts_value) {
  const py::array counts = exact<std::int64_t>(counts_value, "counts");
  if (counts.size() == 0) fail_value("counts", "at least one count", "none");
  std::int64_t total = 0;
  for (ptrdiff_t i = 0; i < counts.size(); ++i) {
    const std::int64_t n = pointer<std::int64_t>(counts)[i];
    if (n < 0 || __builtin_add_overflow(total, n, &total))
      fail_value("counts", "numbers >= 0 with a sum below 2**63", std::to_string(n));
  }
  const HuffmanPaths paths = huffman_paths(pointer<std::int64_t>(counts), counts.size());
  return py::make_tuple(to_array(paths.offsets), to_array(paths.nodes), to_array(paths.labels));
}

// words: UTF-8.  The rows of all n-grams of each, and where those of each begin.
py::tuple make_ngrams(const std::vector<std::string>& words, int min_n, int max_n, std::uint32_t buckets) {
  if (buckets < 1 || buckets > 0x7FFFFFFFu) fail_value("buckets", "1 to 2^31 - 1", std::to_string(buckets));
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> rows;
  for (const std::string& word : words) {
    append_ngrams(word, min_n, max_n, buckets, rows);
    offsets.push_back(static_cast<std::int64_t>(rows.size()));
  }
  return py::make_tuple(to_array(offsets), to_array(rows));
}

// TextEncoder over Python buffers.
class Encoder {
 public:
  explicit Encoder(int threads, bool ignore) : encoder_(check_number("threads", threads, 1, kMostThreads), ignore) {}
  void begin() { encoder_.begin(); }
  std::size_t feed(const py::buffer& buffer, bool last) {
    const Bytes bytes(buffer, "text");
    const py::gil_scoped_release release;
    return encoder_.feed(bytes.view(), last);
  }
  py::tuple take() { return py::make_tuple(to_array(encoder_.take_ids()), to_array(encoder_.take_ends())); }
  // The text of all types, and where each ends in it.
  py::tuple types() const {
    const Types& types = encoder_.types();
    return py::make_tuple(py::bytes(types.text().data(), types.text().size()), to_array(types.ends()));
  }
  py::array counts() const { return to_array(encoder_.counts()); }

 private:
  TextEncoder encoder_;
};

}  // namespace

void bind_words(py::module_& m) {
  using py::arg;
  py::register_exception<InvalidUtf8>(m, "InvalidUtf8", PyExc_ValueError);
  m.def("alias_table", &make_alias_table, arg("weights"));
  m.def("huffman_paths", &make_huffman_paths, arg("counts"));
  m.def("ngrams", &make_ngrams, arg("words"), arg("min_n"), arg("max_n"), arg("buckets"));
  py::class_<Encoder>(m, "TextEncoder")
      .def(py::init<int, bool>(), arg("threads"), arg("ignore"))
      .def("begin", &Encoder::begin)
      .def("feed", &Encoder::feed, arg("text"), arg("last"))
      .def("take", &Encoder::take)
      .def("types", &Encoder::types)
      .def("counts", &Encoder::counts);
}

}  // namespace fastrnn::bindings
