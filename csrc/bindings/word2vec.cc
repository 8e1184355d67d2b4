// word2vec: runs over a corpus.
#include "base/word2vec.h"

#include <algorithm>
#include <numeric>

#include "base/threads.h"
#include "bindings/args.h"
#include "bindings/module.h"
#include "bindings/word2vec_args.h"
#include "dispatch.h"

namespace fastrnn::bindings {
namespace {

Dims table_shape(const char* name, py::handle value) {
  const py::array a = array(value, name);
  if (a.ndim() != 2) fail_value(name, "shape (rows, stride)", text(shape_of(a)));
  return shape_of(a);
}

py::tuple arrays(const char* name, py::handle value, std::size_t count) {
  if (!py::isinstance<py::tuple>(value))
    fail_type(name, "a tuple of " + std::to_string(count) + " arrays", type_name(value));
  if (py::len(value) != count) fail_value(name, std::to_string(count) + " arrays", std::to_string(py::len(value)));
  return py::reinterpret_borrow<py::tuple>(value);
}

// A corpus and tables, checked once, then trained on in as many calls as wanted.
class Word2VecRun {
 public:
  Word2VecRun(py::handle ids, py::handle offsets, py::handle types, py::handle input, py::handle output,
              py::handle nodes, py::handle alias, py::handle paths, py::handle locks, int window, int negative,
              bool cbow, bool mean, bool shrink, bool shared, bool deterministic, bool loss, py::handle more,
              py::handle more_locks, py::handle bags, py::handle tags, bool windows, bool fixed_outputs,
              py::handle joined) {
    check_number("window", window, 1, kMostWindow);
    check_number("negative", negative, output.is_none() ? 0 : 1, kMostNegatives);
    if (output.is_none() && nodes.is_none()) fail_type("output", "an array when nodes is None", "None");
    set_corpus(ids, offsets);
    const py::array type_table = keep(exact<std::int32_t>(types, "types", -1, true));
    check_range<std::int32_t>(corpus_, "ids", 0, type_table.shape(0));
    a_.corpus.types = static_cast<const Type*>(type_table.data());
    const Dims shape = table_shape("input", input);
    const ptrdiff_t inputs = shape[0], stride = shape[1];
    const ptrdiff_t v = !output.is_none() ? table_shape("output", output)[0] : table_shape("nodes", nodes)[0] + 1;
    if (windows && inputs != v) fail_value("input", "a row for each of " + std::to_string(v) + " words", text(shape));
    check_words(type_table, v);
    a_.tables.input = tables("input", input, inputs, stride);
    a_.tables.stride = a_.tables.output_stride = stride;
    a_.tables.words = inputs;
    if (!joined.is_none()) set_joined(joined, cbow && windows && bags.is_none() && !tags.is_none(), window);
    const ptrdiff_t others = more.is_none() ? 0 : table_shape("more", more)[0];
    if (others > 0) a_.tables.more = tables("more", more, others, stride);
    if (!output.is_none()) set_output(output, alias, v);
    if (!nodes.is_none()) set_nodes(nodes, paths, v);
    a_.tables.locks = lock_factors("locks", locks);
    a_.tables.more_locks = lock_factors("more_locks", more_locks);
    if (!bags.is_none()) a_.bags = row_lists("bags", bags, inputs, 1, inputs + others);
    if (!tags.is_none()) a_.corpus.tags = row_lists("tags", tags, a_.corpus.sentences, 0, inputs + others);
    if (!bags.is_none() && !tags.is_none()) fail_value("bags", "None where there are tags", "lists");
    if (!windows && tags.is_none()) fail_value("windows", "true where there are no tags", "false");
    a_.windows = windows;
    a_.fixed_outputs = fixed_outputs;
    a_.window = window;
    a_.negatives = negative;
    a_.cbow = cbow;
    a_.mean = mean;
    a_.shrink = shrink && joined.is_none();
    a_.shared = shared;
    a_.deterministic = deterministic;
    a_.want_loss = loss;
  }

  // Trains on positions [begin, end); returns the loss, summed, and the number of centres.
  py::tuple train(ptrdiff_t begin, ptrdiff_t end, std::uint64_t key, double rate, double rate_per_position,
                  int threads) {
    if (begin < 0 || begin % kSlice != 0 || end < begin || end > corpus_.size())
      fail_value("begin, end", "a range of the corpus that begins at a multiple of " + std::to_string(kSlice),
                 text({begin, end}));
    check_number("threads", threads, 1, kMostThreads);
    if (begin == end) return py::make_tuple(0.0, 0);
    Word2Vec a = a_;
    a.begin = begin;
    a.end = end;
    a.key = key;
    a.rate = rate;
    a.rate_per_position = rate_per_position;
    a.threads = threads;
    const Word2VecKernels& kernel = kernels().word2vec;
    const Block scratch = acquire_scratch(static_cast<std::size_t>(kernel.scratch(a)));
    const auto slices = static_cast<std::size_t>((end - begin + kSlice - 1) / kSlice);
    std::vector<double> losses(slices);
    std::vector<std::int64_t> centres(slices);
    a.scratch = scratch.data();
    a.losses = losses.data();
    a.centres = centres.data();
    {
      const py::gil_scoped_release release;
      kernel.train(a);
    }
    return py::make_tuple(std::accumulate(losses.begin(), losses.end(), 0.0),
                          std::accumulate(centres.begin(), centres.end(), std::int64_t{0}));
  }

 private:
  void set_corpus(py::handle ids, py::handle offsets) {
    corpus_ = keep(exact<std::int32_t>(ids, "ids"));
    const py::array ends = keep(exact<std::int64_t>(offsets, "offsets"));
    const auto* p = pointer<std::int64_t>(ends);
    bool ordered = ends.size() >= 2 && p[0] == 0 && p[ends.size() - 1] == corpus_.size();
    for (ptrdiff_t i = 1; ordered && i < ends.size(); ++i) ordered = p[i - 1] <= p[i];
    if (!ordered || corpus_.size() == 0)
      fail_value("offsets", "ascending from 0 to the number of ids, which is not 0", text(shape_of(ends)));
    a_.corpus = {pointer<std::int32_t>(corpus_), nullptr, p, ends.size() - 1, {}};
  }

  static void check_words(const py::array& types, ptrdiff_t v) {
    const auto* p = static_cast<const Type*>(types.data());
    for (ptrdiff_t i = 0; i < types.shape(0); ++i)
      if (p[i].word < -1 || p[i].word >= v)
        fail_value("types", "words in [-1, " + std::to_string(v) + ")", std::to_string(p[i].word));
  }

  // (size of a vector, number of tags, null word)
  void set_joined(py::handle value, bool possible, int window) {
    if (!py::isinstance<py::tuple>(value) || py::len(value) != 3) fail_type("joined", "3 integers", type_name(value));
    const auto number = [&](std::size_t i, const char* name, ptrdiff_t least, ptrdiff_t most) {
      const py::object item = py::reinterpret_borrow<py::tuple>(value)[i];
      if (!PyLong_Check(item.ptr())) fail_type(name, "an integer", type_name(item));
      int beyond = 0;
      const long long n = PyLong_AsLongLongAndOverflow(item.ptr(), &beyond);
      if (beyond != 0 || n < least || n > most)
        fail_value(name, "an integer in [" + std::to_string(least) + ", " + std::to_string(most) + "]",
                   py::str(item).cast<std::string>());
      return static_cast<ptrdiff_t>(n);
    };
    if (!possible) fail_value("joined", "None without CBOW of windows and tags, and with bags", "integers");
    a_.joined.size = number(0, "joined size", 1, a_.tables.stride);
    a_.joined.tags = number(1, "joined tags", 1, kMostWindow);
    a_.joined.null = static_cast<std::int32_t>(number(2, "joined null", 0, a_.tables.words - 1));
    const ptrdiff_t columns = (a_.joined.tags + 2 * ptrdiff_t{window}) * a_.joined.size;
    a_.tables.output_stride = round_to_block(columns);
  }

  void set_output(py::handle output, py::handle alias, ptrdiff_t v) {
    a_.tables.output = tables("output", output, v, a_.tables.output_stride);
    const py::array entries = keep(exact<std::uint32_t>(alias, "alias", v, true));
    a_.words.alias = static_cast<const Alias*>(entries.data());
    for (ptrdiff_t i = 0; i < v; ++i)
      if (a_.words.alias[i].other < 0 || a_.words.alias[i].other >= v)
        fail_value("alias", "words in [0, " + std::to_string(v) + ")", std::to_string(a_.words.alias[i].other));
    a_.words.alias_size = static_cast<std::uint32_t>(v);
  }

  void set_nodes(py::handle nodes_value, py::handle paths_value, ptrdiff_t v) {
    a_.tables.nodes = tables("nodes", nodes_value, v - 1, a_.tables.output_stride);
    const py::tuple paths = arrays("paths", paths_value, 3);
    const py::array offsets = keep(exact<std::int64_t>(paths[0], "path offsets", v + 1));
    const auto* p = pointer<std::int64_t>(offsets);
    if (p[0] != 0 || !std::is_sorted(p, p + v + 1)) fail_value("path offsets", "numbers ascending from 0", "others");
    const py::array nodes = keep(exact<std::int32_t>(paths[1], "path nodes", p[v]));
    const py::array labels = keep(exact<float>(paths[2], "path labels", p[v]));
    if (nodes.size() > 0) check_range<std::int32_t>(nodes, "path nodes", 0, v - 1);
    a_.words.path_offsets = p;
    a_.words.path_nodes = pointer<std::int32_t>(nodes);
    a_.words.path_labels = pointer<float>(labels);
    a_.words.node_count = v - 1;
    for (ptrdiff_t i = 0; i < v; ++i)
      a_.words.longest_path = std::max(a_.words.longest_path, static_cast<ptrdiff_t>(p[i + 1] - p[i]));
  }

  Locks lock_factors(const char* name, py::handle value) {
    if (value.is_none()) return {};
    const py::array factors = keep(exact<float>(value, name));
    if (factors.size() == 0) fail_value(name, "at least one factor", "none");
    return {pointer<float>(factors), factors.size()};
  }

  // `count` lists, each of at least `least` of `rows` input rows.
  RowLists row_lists(const std::string& name, py::handle value, ptrdiff_t count, ptrdiff_t least, ptrdiff_t rows) {
    const py::tuple lists = arrays(name.c_str(), value, 2);
    const py::array ends = keep(exact<std::int64_t>(lists[0], name + " offsets", count + 1));
    const py::array members = keep(exact<std::int32_t>(lists[1], name + " rows"));
    const auto* p = pointer<std::int64_t>(ends);
    RowLists found{p, pointer<std::int32_t>(members), 0};
    if (p[0] != 0 || p[count] != members.size() || !std::is_sorted(p, p + count + 1))
      fail_value(name + " offsets", "ascending from 0 to the number of rows", "others");
    for (ptrdiff_t i = 0; i < count; ++i) {
      const auto length = static_cast<ptrdiff_t>(p[i + 1] - p[i]);
      if (length < least) fail_value(name, "lists of at least one row", "an empty one");
      found.longest = std::max(found.longest, length);
    }
    if (members.size() > 0) check_range<std::int32_t>(members, name + " rows", 0, rows);
    return found;
  }

  float* tables(const char* name, py::handle value, ptrdiff_t rows, ptrdiff_t stride) {
    return mutable_pointer<float>(keep(table(value, name, rows, stride)));
  }
  const py::array& keep(py::array a) {
    kept_.push_back(std::move(a));
    return kept_.back();
  }

  std::vector<py::array> kept_;
  py::array corpus_;
  Word2Vec a_{};
};

}  // namespace

void bind_word2vec(py::module_& m) {
  using py::arg;
  m.attr("SLICE") = kSlice;
  py::class_<Word2VecRun>(m, "Word2VecRun")
      .def(py::init<py::handle, py::handle, py::handle, py::handle, py::handle, py::handle, py::handle, py::handle,
                    py::handle, int, int, bool, bool, bool, bool, bool, bool, py::handle, py::handle, py::handle,
                    py::handle, bool, bool, py::handle>(),
           py::kw_only(), arg("ids"), arg("offsets"), arg("types"), arg("input"), arg("output").none(true),
           arg("nodes").none(true), arg("alias").none(true), arg("paths"), arg("locks").none(true), arg("window"),
           arg("negative"), arg("cbow"), arg("mean"), arg("shrink"), arg("shared"), arg("deterministic"), arg("loss"),
           arg("more") = py::none(), arg("more_locks") = py::none(), arg("bags") = py::none(), arg("tags") = py::none(),
           arg("windows") = true, arg("fixed_outputs") = false, arg("joined") = py::none())
      .def("train", &Word2VecRun::train, arg("begin"), arg("end"), arg("key"), arg("rate"), arg("rate_per_position"),
           arg("threads"));
}

}  // namespace fastrnn::bindings
