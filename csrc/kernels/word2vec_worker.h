// What one thread makes of a stretch of the corpus: for every centre the steps of skip-gram or CBOW, applied at once or
// recorded; see word2vec_train.h.
#pragma once

#include "kernels/word2vec_hot.h"
#include "kernels/word2vec_windows.h"

namespace fastrnn::FASTRNN_ISA::w2v {

// Centres whose negatives are drawn, and whose rows are fetched, before their turn.
inline constexpr ptrdiff_t kAhead = 6;

inline constexpr double kLossUnit = 0x1p30;

FASTRNN_INLINE ptrdiff_t longest_outputs(const Word2Vec& a) {
  return max_of(a.tables.output ? 1 + a.negatives : 0, a.tables.nodes ? a.words.longest_path : 0);
}

// A step whose errors are formed and whose updates are not applied yet: [m, n, table] [m] contexts [n] rows
// [m or 1, n] errors, the last by groups.
FASTRNN_INLINE ptrdiff_t most_recorded(const Word2Vec& a) {
  if (!a.deterministic) return 0;
  const ptrdiff_t contexts = 2 * a.window, outputs = longest_outputs(a);
  const ptrdiff_t one = a.cbow     ? 3 + contexts + 2 * outputs
                        : a.shared ? 3 + contexts + outputs + contexts * outputs
                                   : contexts * (4 + 2 * outputs);
  return ceil_div(kSlice, a.threads) * one * ((a.tables.output != nullptr) + (a.tables.nodes != nullptr));
}

// What one thread works with.
struct Worker {
  const Word2Vec& a;
  Slice slice;
  Outputs ahead[kAhead];  // of the centres i, by i % kAhead
  Outputs outputs;
  std::int32_t* contexts;  // words, [2 * window]
  float **x, **o;          // [2 * window], [kGroup]
  float *locks, *scores, *labels, *mean, *gradient;
  std::int32_t* records;
  ptrdiff_t recorded = 0;
  HotRows hot_output{nullptr, 0, 0, 0, nullptr, nullptr}, hot_nodes = hot_output;
  std::int64_t centres = 0;
  std::int64_t loss = 0;  // in units of 2^-30: a sum of integers does not depend on its order

  // Bytes of scratch; with `base` null it only measures.
  Worker(const Word2Vec& call, char* base) noexcept : a(call), used_(0), base_(base) {
    const ptrdiff_t m = 2 * a.window, n = longest_outputs(a);
    slice.words = take<Kept>(Slice::capacity(a));
    for (Outputs& one : ahead)
      one = {0, take<std::int32_t>(1 + a.negatives), take<float>(1 + a.negatives + kLabelSlack)};
    outputs = {0, take<std::int32_t>(n), take<float>(n + kLabelSlack)};
    contexts = take<std::int32_t>(m);
    x = take<float*>(m);
    o = take<float*>(kGroup);
    locks = take<float>(m);
    scores = take<float>(m * kGroup + kScoreSlack);
    labels = take<float>(m * kGroup + kScoreSlack);
    mean = take<float>(a.tables.stride);
    gradient = take<float>(a.tables.stride);
    records = take<std::int32_t>(most_recorded(a));
    hot_output = take_hot(a.tables.output, 0, a.tables.output ? ptrdiff_t{a.words.alias_size} : 0);
    hot_nodes = take_hot(a.tables.nodes, -1, a.tables.nodes ? a.words.node_count : 0);
  }
  ptrdiff_t bytes() const { return used_; }

  // The steps of the centres of positions [begin, end): applied at once, or recorded.
  void train(Range positions, float rate) noexcept {
    recorded = 0;
    loss = 0;
    slice.collect(a, positions);
    centres = slice.end - slice.begin;
    for (ptrdiff_t i = slice.begin; i < min_of(slice.begin + kAhead, slice.end); ++i) prepare(i);
    for (ptrdiff_t i = slice.begin; i < slice.end; ++i) {
      const Range window = slice.window(a, i);
      ptrdiff_t m = 0;
      for (ptrdiff_t j = window.begin; j < window.end; ++j)
        if (j != i) contexts[m++] = slice.words[j].word;
      if (m > 0) centre(i, m, rate);
      if (i + kAhead < slice.end) prepare(i + kAhead);
    }
  }

  void read_hot() noexcept {
    hot_output.read();
    hot_nodes.read();
  }
  void merge_hot() noexcept {
    hot_output.merge();
    hot_nodes.merge();
  }

  // Columns of the updates that a worker has recorded.
  void apply_records(const Worker& from, Range columns) noexcept {
    const std::int32_t* at = from.records;
    while (at < from.records + from.recorded) at = apply_record(at, columns);
  }

 private:
  static constexpr ptrdiff_t kLabelSlack = 8;  // labels are copied eight at a time
  ptrdiff_t used_;
  char* base_;

  template <class T>
  T* take(ptrdiff_t n) {
    T* p = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += ceil_div(n * static_cast<ptrdiff_t>(sizeof(T)), 64) * 64;
    return p;
  }

  // The first rows of a table, or the last.
  HotRows take_hot(float* table, int from, ptrdiff_t rows) {
    const ptrdiff_t count = HotRows::rows(a, rows), size = count * a.tables.stride;
    float* own = take<float>(size);
    return {table, a.tables.stride, from < 0 ? rows - count : 0, count, own, take<float>(size)};
  }

  bool own_negatives() const { return !a.cbow && !a.shared; }  // of every pair

  // Draws the negatives of a centre to come and fetches the rows that it will use.
  void prepare(ptrdiff_t i) noexcept {
    const ptrdiff_t columns = a.tables.stride;
    const Kept& centre = slice.words[i];
    if (i + a.window < slice.last) prefetch_row(input(slice.words[i + a.window].word), columns);
    if (a.tables.output != nullptr) {
      prefetch_row(hot_output.row(centre.word), columns);
      Outputs& to = ahead[i % kAhead];
      if (!own_negatives()) draw_negatives(a, centre, 0, to);
      for (ptrdiff_t n = 1; n < to.count && !own_negatives(); ++n) prefetch_row(hot_output.row(to.rows[n]), columns);
    }
    if (a.tables.nodes != nullptr) {
      const std::int64_t first = a.words.path_offsets[centre.word], last = a.words.path_offsets[centre.word + 1];
      for (std::int64_t n = first; n < last; ++n) prefetch_row(hot_nodes.row(a.words.path_nodes[n]), columns);
    }
  }

  void centre(ptrdiff_t i, ptrdiff_t m, float rate) noexcept {
    const Kept& word = slice.words[i];
    if (a.tables.nodes != nullptr) {
      take_path(a, word.word, outputs);
      if (own_negatives())
        for (ptrdiff_t j = 0; j < m; ++j) unit(contexts + j, 1, a.tables.nodes, outputs, rate);
      else
        unit(contexts, m, a.tables.nodes, outputs, rate);
    }
    if (a.tables.output == nullptr) return;
    if (!own_negatives()) return unit(contexts, m, a.tables.output, ahead[i % kAhead], rate);
    for (ptrdiff_t j = 0; j < m; ++j) {
      draw_negatives(a, word, j * a.negatives, outputs);
      unit(contexts + j, 1, a.tables.output, outputs, rate);
    }
  }

  float* input(std::int32_t word) const { return a.tables.input + word * a.tables.stride; }
  float lock(std::int32_t word) const {
    return a.tables.locks == nullptr ? 1 : a.tables.locks[word % a.tables.lock_count];
  }

  // One set of outputs against m contexts (skip-gram) or their sum (CBOW).
  void unit(const std::int32_t* words, ptrdiff_t m, float* table, const Outputs& to, float rate) noexcept {
    const Range columns{0, a.tables.stride};
    for (ptrdiff_t j = 0; j < m; ++j) x[j] = input(words[j]);
    if (a.cbow) sum_rows(mean, x, m, a.mean ? 1.0f / static_cast<float>(m) : 1.0f, columns);
    if (a.deterministic) return record(words, m, table, to, rate);
    if (a.shared && !a.cbow) {
      if (a.tables.locks == nullptr) return steps<Into::kInputs>(x, m, table, to, kGroup, rate);
      for (ptrdiff_t j = 0; j < m; ++j) locks[j] = lock(words[j]);
      return steps<Into::kLockedInputs>(x, m, table, to, kGroup, rate);
    }
    clear(columns);
    float* one[] = {a.cbow ? mean : x[0]};
    steps<Into::kGradient>(one, 1, table, to, a.shared ? kGroup : 1, rate);
    spread(words, m, columns);
  }

  void clear(Range columns) noexcept {
    for (ptrdiff_t c = columns.begin; c < columns.end; c += kWidth) store(gradient + c, V{});
  }

  // Adds the gradient to the contexts; that of their sum is divided among them, as in gensim.
  void spread(const std::int32_t* words, ptrdiff_t m, Range columns) noexcept {
    const float share = a.cbow && !a.mean ? 1.0f / static_cast<float>(m) : 1.0f;
    for (ptrdiff_t j = 0; j < m; ++j) add_scaled(x[j], share * lock(words[j]), gradient, columns);
  }

  void point_outputs(float* table, const std::int32_t* rows, ptrdiff_t n) noexcept {
    const HotRows& hot = hot_output.has_table(table) ? hot_output : hot_nodes;
    for (ptrdiff_t k = 0; k < n; ++k) o[k] = hot.row(rows[k]);
  }

  // scores: [m, n], the errors of outputs first .. first + n.
  void form(float* const* from, ptrdiff_t m, float* table, const Outputs& to, ptrdiff_t first, ptrdiff_t n,
            float rate) noexcept {
    point_outputs(table, to.rows + first, n);
    for (ptrdiff_t j = 0; j < m; ++j) __builtin_memcpy(labels + j * n, to.labels + first, kLabelSlack * sizeof(float));
    score_group(from, m, o, n, a.tables.stride, scores);
    if (a.want_loss) loss += static_cast<std::int64_t>(negative_log_likelihood(scores, labels, m * n) * kLossUnit);
    errors(scores, labels, m * n, rate);
  }

  template <Into kInto>
  void steps(float* const* from, ptrdiff_t m, float* table, const Outputs& to, ptrdiff_t group, float rate) noexcept {
    for (ptrdiff_t first = 0; first < to.count; first += group) {
      const ptrdiff_t n = min_of(group, to.count - first);
      form(from, m, table, to, first, n, rate);
      apply_group<kInto>(from, m, locks, gradient, o, n, scores, {0, a.tables.stride});
    }
  }

  void record(const std::int32_t* words, ptrdiff_t m, float* table, const Outputs& to, float rate) noexcept {
    std::int32_t* at = records + recorded;
    *at++ = static_cast<std::int32_t>(m);
    *at++ = static_cast<std::int32_t>(to.count);
    *at++ = table == a.tables.nodes;
    for (ptrdiff_t j = 0; j < m; ++j) *at++ = words[j];
    for (ptrdiff_t n = 0; n < to.count; ++n) *at++ = to.rows[n];
    float* one[] = {mean};
    const ptrdiff_t inputs = a.cbow ? 1 : m;
    for (ptrdiff_t first = 0; first < to.count; first += kGroup) {
      const ptrdiff_t n = min_of(ptrdiff_t{kGroup}, to.count - first);
      form(a.cbow ? one : x, inputs, table, to, first, n, rate);
      __builtin_memcpy(at, scores, static_cast<std::size_t>(inputs * n) * sizeof(float));
      at += inputs * n;
    }
    recorded = at - records;
  }

  const std::int32_t* apply_record(const std::int32_t* at, Range columns) noexcept {
    const ptrdiff_t m = at[0], count = at[1], inputs = a.cbow ? 1 : m;
    float* table = at[2] ? a.tables.nodes : a.tables.output;
    const std::int32_t* words = at + 3;
    const std::int32_t* rows = words + m;
    const auto* errors = reinterpret_cast<const float*>(rows + count);
    for (ptrdiff_t j = 0; j < m; ++j) {
      x[j] = input(words[j]);
      locks[j] = lock(words[j]);
    }
    if (a.cbow) {
      sum_rows(mean, x, m, a.mean ? 1.0f / static_cast<float>(m) : 1.0f, columns);
      clear(columns);
    }
    float* one[] = {mean};
    for (ptrdiff_t first = 0; first < count; first += kGroup) {
      const ptrdiff_t n = min_of(ptrdiff_t{kGroup}, count - first);
      point_outputs(table, rows + first, n);
      if (a.cbow)
        apply_group<Into::kGradient>(one, 1, locks, gradient, o, n, errors, columns);
      else if (a.tables.locks != nullptr)
        apply_group<Into::kLockedInputs>(x, m, locks, gradient, o, n, errors, columns);
      else
        apply_group<Into::kInputs>(x, m, locks, gradient, o, n, errors, columns);
      errors += inputs * n;
    }
    if (a.cbow) spread(words, m, columns);
    return reinterpret_cast<const std::int32_t*>(errors);
  }
};

}  // namespace fastrnn::FASTRNN_ISA::w2v
