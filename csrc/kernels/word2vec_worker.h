// What one thread makes of a stretch of the corpus: for every centre the steps of skip-gram or CBOW.
//
// PV-DBOW has the same inputs for all words of a document.  Up to kTogether of them, one after the other, are the
// outputs of one step with one set of negatives, as those of a centre serve all its contexts in skip-gram.
#pragma once

#include "kernels/word2vec_hot.h"
#include "kernels/word2vec_reach.h"

namespace fastrnn::FASTRNN_ISA::w2v {

// Centres whose negatives are drawn, and whose rows are fetched, before their turn.
inline constexpr ptrdiff_t kAhead = 6;

inline constexpr double kLossUnit = 0x1p30;

FASTRNN_INLINE float rate_at(const Word2Vec& a, ptrdiff_t position) {
  return static_cast<float>(a.rate + a.rate_per_position * static_cast<double>(position));
}

// What one thread works with.
struct Worker : Reach {
  Outputs ahead[kAhead];  // of the centres i, by i % kAhead; those of several at the first of them
  Outputs outputs;
  float** o;  // [kGroup]
  float *locks, *bag_sizes, *scores, *labels, *mean, *gradient;
  HotRows hot_output{nullptr, 0, 0, 0, nullptr, nullptr}, hot_nodes = hot_output;
  std::int64_t centres = 0;
  std::int64_t loss = 0;  // in units of 2^-30: a sum of integers does not depend on its order

  // Bytes of scratch; with `base` null it only measures.
  Worker(const Word2Vec& call, char* base) noexcept : Reach(call), used_(0), base_(base) {
    const ptrdiff_t m = Inputs::most(a), n = longest_outputs(a);
    slice = {take<Kept>(Slice::capacity(a)), nullptr, 0, 0, 0, 0, 0};
    for (Outputs& one : ahead) one = take_outputs(kTogether + a.negatives);
    outputs = take_outputs(n);
    contexts = take<std::int32_t>(m);
    x = take<float*>(m);
    homes = take<float*>(a.deterministic ? Slice::capacity(a) : 0);
    o = take<float*>(kGroup);
    locks = take<float>(m);
    bag_sizes = take<float>(m);
    scores = take<float>(m * kGroup + kScoreSlack);
    labels = take<float>(m * kGroup + kScoreSlack);
    mean = take<float>(a.tables.output_stride);
    gradient = take<float>(a.tables.output_stride);
    slots = Inputs::slots(a);
    const ptrdiff_t copies = Inputs::own_tags(a) ? a.corpus.tags.longest : 0;
    inputs = Inputs(a, take<float>((slots + copies) * 2 * a.tables.stride));
    hot_output = take_hot(a.tables.output, 0, a.tables.output ? ptrdiff_t{a.words.alias_size} : 0);
    hot_nodes = take_hot(a.tables.nodes, -1, a.tables.nodes ? a.words.node_count : 0);
  }
  ptrdiff_t bytes() const { return used_; }

  void collect(Range positions) noexcept { slice.collect(a, positions); }

  // The steps of the centres of the slice.
  void train(float rate) noexcept {
    loss = 0;
    centres = slice.end - slice.begin;
    reached = slice.first;
    for (ptrdiff_t j = slice.first; inputs.own != nullptr && a.windows && !inputs.bags() && j < slice.last; ++j)
      homes[j] = inputs.row(slice.words[j].word);
    ptrdiff_t prepared = slice.begin;
    for (ptrdiff_t i = slice.begin; i < slice.end;) {
      while (prepared < min_of(i + kAhead, slice.end)) {
        const Range next = together(prepared);
        prepare(next);
        prepared = next.end;
      }
      const Range group = together(i);
      const ptrdiff_t m = joined() ? gather_joined(i) : gather(i);
      if (m > 0) centres_of(group, m, rate);
      i = group.end;
    }
    finish();
  }

  void read_hot() noexcept {
    hot_output.read();
    hot_nodes.read();
  }
  void merge_hot() noexcept {
    hot_output.merge();
    hot_nodes.merge();
  }

  // All rows that the steps of the slice will read or write.  Keeps what it draws in `noise`, if the slice has one.
  void list_rows(RowSet to) noexcept {
    to.clear();
    for (ptrdiff_t j = slice.first; a.windows && j < slice.last; ++j) list_bag(inputs.bag(slice.words[j].word), to);
    Range group{slice.begin, slice.begin};
    for (ptrdiff_t i = slice.begin; i < slice.end; ++i) {
      if (i == group.end) group = together(i);
      const Kept& word = slice.words[i];
      const Bag own = a.corpus.tags.offsets == nullptr ? Bag{nullptr, 0} : tags(slice.sentence + word.sentence);
      if (i == slice.begin || word.sentence != slice.words[i - 1].sentence) list_bag(own, to);
      if (a.tables.output != nullptr) {
        const ptrdiff_t sets = own_negatives() ? own.count + slice.contexts(a, i) : i == group.begin;
        to.add(a.tables.output + word.word * a.tables.output_stride);
        for (ptrdiff_t n = 0; n < sets * a.negatives; ++n) {
          const std::int32_t row = negative(a.words, word.stream, n);
          to.add(a.tables.output + row * a.tables.output_stride);
          if (std::int32_t* kept = slice.noise_of(a, i)) kept[n] = row;
        }
      }
      if (a.tables.nodes != nullptr)
        for (std::int64_t n = a.words.path_offsets[word.word]; n < a.words.path_offsets[word.word + 1]; ++n)
          to.add(a.tables.nodes + a.words.path_nodes[n] * a.tables.output_stride);
    }
  }

 private:
  void list_bag(Bag bag, RowSet to) const {
    for (ptrdiff_t i = 0; i < bag.count; ++i) to.add(inputs.home(bag.rows[i]));
  }

  static constexpr ptrdiff_t kLabelSlack = 8;  // labels are copied eight at a time
  ptrdiff_t used_;
  char* base_;

  Outputs take_outputs(ptrdiff_t n) {
    return {0, false, take<std::int32_t>(n), take<float>(n + kLabelSlack), take<float>(n)};
  }

  template <class T>
  T* take(ptrdiff_t n) {
    T* p = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += ceil_div(n * static_cast<ptrdiff_t>(sizeof(T)), 64) * 64;
    return p;
  }

  // The first rows of a table, or the last.
  HotRows take_hot(float* table, int from, ptrdiff_t rows) {
    const ptrdiff_t count = HotRows::rows(a, rows), size = count * a.tables.output_stride;
    float* own = take<float>(size);
    return {table, a.tables.output_stride, from < 0 ? rows - count : 0, count, own, take<float>(size)};
  }

  bool joined() const { return a.joined.size > 0; }
  Range output_columns() const { return {0, a.tables.output_stride}; }
  bool own_negatives() const { return !a.cbow && !a.shared; }  // of every pair

  // The centres from i on whose outputs are scored in one step.
  Range together(ptrdiff_t i) const {
    ptrdiff_t end = i + 1;
    if (!a.windows && !a.cbow && a.shared)
      while (end < min_of(slice.end, i + kTogether) && slice.words[end].sentence == slice.words[i].sentence) ++end;
    return {i, end};
  }

  // Draws the negatives of centres to come and fetches the rows that they will use.
  void prepare(Range group) noexcept {
    const ptrdiff_t columns = a.tables.output_stride, reach = group.begin + a.window;
    const Kept* centres = slice.words + group.begin;
    const ptrdiff_t count = group.end - group.begin;
    if (a.windows && reach < slice.last) inputs.prefetch(slice.words[reach].word);
    if (a.tables.output != nullptr && own_negatives()) prefetch_row(hot_output.row(centres->word), columns);
    if (a.tables.output != nullptr && !own_negatives()) {
      Outputs& to = ahead[group.begin % kAhead];
      draw_negatives(a, centres, count, 0, slice.noise_of(a, group.begin), to);
      for (ptrdiff_t n = 0; n < to.count; ++n) prefetch_row(hot_output.row(to.rows[n]), columns);
    }
    for (ptrdiff_t c = 0; a.tables.nodes != nullptr && c < count; ++c) {
      const std::int64_t* ends = a.words.path_offsets + centres[c].word;
      for (std::int64_t n = ends[0]; n < ends[1]; ++n) prefetch_row(hot_nodes.row(a.words.path_nodes[n]), columns);
    }
  }

  void centres_of(Range group, ptrdiff_t m, float rate) noexcept {
    for (ptrdiff_t i = group.begin; a.tables.nodes != nullptr && i < group.end; ++i) {
      take_path(a, slice.words[i].word, outputs);
      const ptrdiff_t each = own_negatives() ? 1 : m;
      for (ptrdiff_t j = 0; j < m; j += each) unit(j, each, a.tables.nodes, outputs, rate);
    }
    if (a.tables.output == nullptr) return;
    if (!own_negatives()) return unit(0, m, a.tables.output, ahead[group.begin % kAhead], rate);
    for (ptrdiff_t j = 0; j < m; ++j) {
      draw_negatives(a, slice.words + group.begin, 1, j * a.negatives, nullptr, outputs);
      unit(j, 1, a.tables.output, outputs, rate);
    }
  }

  // One set of outputs against m inputs (skip-gram) or their sum (CBOW).
  void unit(ptrdiff_t first, ptrdiff_t m, float* table, const Outputs& to, float rate) noexcept {
    const Range columns = all_columns();
    const std::int32_t* from = contexts + first;
    float** in = x + first;
    const bool for_itself = inputs.bags() && !kept_means();
    if (for_itself) compose(in, from, m, columns);
    const float count = a.cbow ? weigh(from, m) : 1;
    if (a.cbow) join_or_average(in, m, count, columns);
    if (a.cbow || !a.shared) {
      clear(output_columns());
      float* one[] = {a.cbow ? mean : in[0]};
      steps<Into::kGradient>(one, 1, table, to, a.shared ? kGroup : 1, rate);
      spread(in, from, m, count, columns);
    } else if (inputs.locked()) {
      for (ptrdiff_t j = 0; j < m; ++j) locks[j] = inputs.lock(from[j]);
      steps<Into::kLockedInputs>(in, m, table, to, kGroup, rate);
    } else {
      steps<Into::kInputs>(in, m, table, to, kGroup, rate);
    }
    if (for_itself) settle_all(from, m, columns);
  }

  void compose(float** in, const std::int32_t* from, ptrdiff_t m, Range columns) noexcept {
    for (ptrdiff_t j = 0; j < m; ++j) in[j] = inputs.compose(j, from[j], columns);
  }
  void settle_all(const std::int32_t* from, ptrdiff_t m, Range columns) noexcept {
    for (ptrdiff_t j = 0; inputs.bags() && j < m; ++j) inputs.settle(j, from[j], columns);
  }

  // Rows of the inputs, together: CBOW is the mean of all, not of means.
  float weigh(const std::int32_t* from, ptrdiff_t m) noexcept {
    if (!inputs.bags()) return static_cast<float>(m);
    float sum = 0;
    for (ptrdiff_t j = 0; j < m; ++j) sum += bag_sizes[j] = static_cast<float>(inputs.bag(from[j]).count);
    return sum;
  }
  void join_or_average(float* const* in, ptrdiff_t m, float count, Range columns) noexcept {
    if (joined()) return join(in, m);
    sum_rows(mean, in, inputs.bags() ? bag_sizes : nullptr, m, a.mean ? 1.0f / count : 1.0f, columns);
  }

  // The inputs one after the other, and zeros up to the end of an output.
  void join(float* const* in, ptrdiff_t m) noexcept {
    const ptrdiff_t size = a.joined.size;
    for (ptrdiff_t j = 0; j < m; ++j)
      __builtin_memcpy(mean + j * size, in[j], static_cast<std::size_t>(size) * sizeof(float));
    for (ptrdiff_t c = m * size; c < a.tables.output_stride; ++c) mean[c] = 0;
  }

  // Adds to each joined input its part of the gradient.  Columns past the size of a vector stay as they are.
  void spread_joined(float* const* in, const std::int32_t* from, ptrdiff_t m) noexcept {
    for (ptrdiff_t j = 0; j < m; ++j) {
      const V share = splat(inputs.lock(from[j]));
      const float* part = gradient + j * a.joined.size;
      for (ptrdiff_t c = 0; c < a.joined.size; c += kWidth) {
        const V change = load_n(part + c, min_of(ptrdiff_t{kWidth}, a.joined.size - c));
        store(in[j] + c, fma(share, change, load(in[j] + c)));
      }
    }
  }

  void clear(Range columns) noexcept {
    for (ptrdiff_t c = columns.begin; c < columns.end; c += kWidth) store(gradient + c, V{});
  }

  // Adds the gradient to the inputs; that of their sum is divided among their rows, as in gensim.
  void spread(float* const* in, const std::int32_t* from, ptrdiff_t m, float count, Range columns) noexcept {
    if (joined()) return spread_joined(in, from, m);
    const float share = a.cbow && !a.mean ? 1.0f / count : 1.0f;
    for (ptrdiff_t j = 0; j < m; ++j) add_scaled(in[j], share * inputs.lock(from[j]), gradient, columns);
  }

  void point_outputs(float* table, const std::int32_t* rows, ptrdiff_t n) noexcept {
    const HotRows& hot = hot_output.has_table(table) ? hot_output : hot_nodes;
    for (ptrdiff_t k = 0; k < n; ++k)
      o[k] = inputs.own == nullptr ? hot.row(rows[k]) : inputs.own->row(hot.row(rows[k]));
  }

  // scores: [m, n], the errors of outputs first .. first + n.
  void form(float* const* from, ptrdiff_t m, float* table, const Outputs& to, ptrdiff_t first, ptrdiff_t n,
            float rate) noexcept {
    point_outputs(table, to.rows + first, n);
    for (ptrdiff_t j = 0; j < m; ++j) __builtin_memcpy(labels + j * n, to.labels + first, kLabelSlack * sizeof(float));
    score_group(from, m, o, n, a.tables.output_stride, scores);
    if (a.want_loss) loss += static_cast<std::int64_t>(loss_of(m, to, first, n) * kLossUnit);
    errors(scores, labels, m * n, rate);
    for (ptrdiff_t i = 0; to.weighted && i < m * n; ++i) scores[i] *= to.weights[first + i % n];
  }

  __attribute__((noinline)) double loss_of(ptrdiff_t m, const Outputs& to, ptrdiff_t first,
                                           ptrdiff_t n) const noexcept {
    const ptrdiff_t each = to.weighted ? 1 : m * n;
    double sum = 0;
    for (ptrdiff_t i = 0; i < m * n; i += each) {
      const float weight = to.weighted ? to.weights[first + i % n] : 1;
      sum += static_cast<double>(weight) * negative_log_likelihood(scores + i, labels + i, each);
    }
    return sum;
  }

  template <Into kInto>
  void steps(float* const* from, ptrdiff_t m, float* table, const Outputs& to, ptrdiff_t group, float rate) noexcept {
    for (ptrdiff_t first = 0; first < to.count; first += group) {
      const ptrdiff_t n = min_of(group, to.count - first);
      form(from, m, table, to, first, n, rate);
      apply_group<kInto>(from, m, locks, gradient, o, n, a.fixed_outputs, scores, output_columns());
    }
  }
};

}  // namespace fastrnn::FASTRNN_ISA::w2v
