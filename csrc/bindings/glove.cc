// GloVe: co-occurrences of a corpus, and passes over them.
#include "base/glove.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "bindings/module.h"
#include "bindings/word2vec_args.h"
#include "dispatch.h"

namespace fastrnn::bindings {
namespace {

static_assert(sizeof(Cooccurrence) == 3 * sizeof(std::int32_t));

// Entries as rows of three int32, the last of which has the bits of a float32.
py::array count_cooccurrences(py::handle ids_value, py::handle words_value, py::handle offsets_value,
                              std::int32_t vocabulary, std::int32_t first, std::int32_t last, int window, int threads) {
  const py::array ids = exact<std::int32_t>(ids_value, "ids"), words = exact<std::int32_t>(words_value, "words");
  const py::array offsets = exact<std::int64_t>(offsets_value, "offsets");
  check_number("window", window, 1, kMostWindow);
  check_number("threads", threads, 1, kMostThreads);
  check_number("vocabulary", vocabulary, 1, 0x7FFFFFFF);
  check_number("last", last, 0, vocabulary);
  check_number("first", first, 0, last);
  check_range<std::int32_t>(ids, "ids", 0, words.size());
  check_range<std::int32_t>(words, "words", -1, vocabulary);
  const auto* ends = pointer<std::int64_t>(offsets);
  bool ordered = offsets.size() >= 1 && ends[0] == 0 && ends[offsets.size() - 1] == ids.size();
  for (ptrdiff_t i = 1; ordered && i < offsets.size(); ++i) ordered = ends[i - 1] <= ends[i];
  if (!ordered) fail_value("offsets", "ascending from 0 to the number of ids", text(shape_of(offsets)));
  // Rows and columns past the largest word are empty, however large the vocabulary: no memory for them (2**31 - 1 words
  // without it: 17 GB for each thread).
  std::int32_t used = 0;
  for (ptrdiff_t i = 0; i < words.size(); ++i) used = std::max(used, pointer<std::int32_t>(words)[i] + 1);
  last = std::min(last, used);
  first = std::min(first, last);
  const CooccurrenceCall call{pointer<std::int32_t>(ids),
                              pointer<std::int32_t>(words),
                              ends,
                              offsets.size() - 1,
                              first,
                              last,
                              used,
                              window,
                              threads};
  std::vector<Cooccurrence> found;
  {
    const py::gil_scoped_release release;
    found = cooccurrences(call);
  }
  py::array_t<std::int32_t> result({static_cast<ptrdiff_t>(found.size()), ptrdiff_t{3}});
  if (!found.empty()) std::memcpy(result.mutable_data(), found.data(), found.size() * sizeof(Cooccurrence));
  return result;
}

// Tables and entries, checked once, then trained in as many calls as wanted.
class GloveRun {
 public:
  GloveRun(py::handle entries, py::handle words, py::handle contexts, py::handle word_squares,
           py::handle context_squares, py::handle word_biases, py::handle context_biases, double rate, double most,
           double power) {
    const py::array first = keep(checked_input(words, "words", true));
    if (first.ndim() != 2) fail_value("words", "shape (rows, stride)", text(shape_of(first)));
    const ptrdiff_t rows = first.shape(0), stride = first.shape(1);
    a_.tables = {rows_of("words", words, rows, stride),
                 rows_of("contexts", contexts, rows, stride),
                 rows_of("word_squares", word_squares, rows, stride),
                 rows_of("context_squares", context_squares, rows, stride),
                 biases("word_biases", word_biases, rows),
                 biases("context_biases", context_biases, rows),
                 stride};
    set_entries(entries, rows);
    for (const auto& [name, value] : {std::pair{"rate", rate}, {"most", most}, {"power", power}})
      if (!(value > 0 && std::isfinite(static_cast<float>(value))))
        fail_value(name, "a finite number above 0", std::to_string(value));
    a_.rate = static_cast<float>(rate);
    a_.most = static_cast<float>(most);
    a_.power = static_cast<float>(power);
  }

  // Entries begin .. end of the pass that has entry (start + i * step) % count as its i-th; returns the loss, summed.
  double train(ptrdiff_t begin, ptrdiff_t end, ptrdiff_t start, ptrdiff_t step, int threads) {
    if (begin < 0 || begin % kGloveSlice != 0 || end < begin || end > a_.count)
      fail_value("begin, end", "a range of the entries that begins at a multiple of " + std::to_string(kGloveSlice),
                 text({begin, end}));
    if (start < 0 || start >= a_.count || step < 0 || step >= a_.count || std::gcd(step, a_.count) != 1)
      fail_value("start, step", "below the number of entries, step prime to it", text({start, step}));
    check_number("threads", threads, 1, kMostThreads);
    Glove a = a_;
    a.begin = begin;
    a.end = end;
    a.start = start;
    a.step = step;
    a.threads = threads;
    std::vector<double> losses(static_cast<std::size_t>((end - begin + kGloveSlice - 1) / kGloveSlice));
    a.losses = losses.data();
    {
      const py::gil_scoped_release release;
      kernels().glove(a);
    }
    return std::accumulate(losses.begin(), losses.end(), 0.0);
  }

 private:
  py::array keep(py::array a) {
    kept_.push_back(a);
    return a;
  }

  float* rows_of(const char* name, py::handle value, ptrdiff_t rows, ptrdiff_t stride) {
    return mutable_pointer<float>(keep(table(value, name, rows, stride)));
  }

  float* biases(const char* name, py::handle value, ptrdiff_t rows) {
    py::array a = keep(exact<float>(value, name, rows, true));
    if (!a.writeable()) fail_value(name, "a writable array", "a read-only one");
    return mutable_pointer<float>(a);
  }

  void set_entries(py::handle value, ptrdiff_t rows) {
    const py::array a = keep(array(value, "entries"));
    if (!py::isinstance<py::array_t<std::int32_t>>(a)) fail_type("entries", "int32", dtype_name(a));
    if (a.ndim() != 2 || a.shape(1) != 3 || a.shape(0) == 0 || !(a.flags() & py::array::c_style) || !is_aligned(a))
      fail_value("entries", "a C-contiguous, aligned array of shape (N, 3)", text(shape_of(a)));
    a_.entries = static_cast<const Cooccurrence*>(a.data());
    a_.count = a.shape(0);
    for (ptrdiff_t i = 0; i < a_.count; ++i) {
      const Cooccurrence& e = a_.entries[i];
      if (e.row < 0 || e.row >= rows || e.column < 0 || e.column >= rows)
        fail_value("entries", "rows and columns in [0, " + std::to_string(rows) + ")", text({e.row, e.column}));
      if (!(e.count > 0 && std::isfinite(e.count)))
        fail_value("entries", "finite counts above 0", std::to_string(e.count));
    }
  }

  std::vector<py::array> kept_;
  Glove a_{};
};

}  // namespace

void bind_glove(py::module_& m) {
  using py::arg;
  m.attr("GLOVE_SLICE") = kGloveSlice;
  m.def("cooccurrences", &count_cooccurrences, arg("ids"), arg("words"), arg("offsets"), arg("vocabulary"),
        arg("first"), arg("last"), arg("window"), arg("threads"));
  py::class_<GloveRun>(m, "GloveRun")
      .def(py::init<py::handle, py::handle, py::handle, py::handle, py::handle, py::handle, py::handle, double, double,
                    double>(),
           py::kw_only(), arg("entries"), arg("words"), arg("contexts"), arg("word_squares"), arg("context_squares"),
           arg("word_biases"), arg("context_biases"), arg("rate"), arg("most"), arg("power"))
      .def("train", &GloveRun::train, arg("begin"), arg("end"), arg("start"), arg("step"), arg("threads"));
}

}  // namespace fastrnn::bindings
