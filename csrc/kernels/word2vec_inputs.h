// The inputs of steps: rows, or means of several rows, as those of the n-grams of a word.
//
// An input is a word or, from `words` on, a row.  The mean of a bag is composed in a slot; steps update it as if it
// were a row, since an update of all its rows is one of their mean; then it is settled: what has changed is added to
// the rows.
//
// With shared negatives a word is composed when the first window reaches it, and settled when the last has passed: with
// n-grams of 3 to 6 letters its 12 rows are read and written once, not once for each of 6 windows.  With the classic
// algorithm it is composed and settled for each centre.
#pragma once

#include "kernels/word2vec_own.h"
#include "kernels/word2vec_windows.h"

namespace fastrnn::FASTRNN_ISA::w2v {

struct Bag {
  const std::int32_t* rows;
  ptrdiff_t count;
};

class Inputs {
 public:
  OwnRows* own = nullptr;  // of the piece, in deterministic training

  static ptrdiff_t most(const Word2Vec& a) { return (a.windows ? 2 * a.window : 0) + a.corpus.tags.longest; }

  // A power of 2 that holds the reach of a window.
  static ptrdiff_t slots(const Word2Vec& a) {
    ptrdiff_t n = a.bags.offsets == nullptr ? 0 : 1;
    while (n != 0 && n < 2 * a.window + 1) n *= 2;
    return n;
  }

  // slots: [slots, 2, stride]: the mean, and as it was when it was composed
  Inputs(const Word2Vec& a, float* slots) noexcept : a_(&a), slots_(slots) {}

  bool bags() const { return a_->bags.offsets != nullptr; }
  bool locked() const { return a_->tables.locks.factors != nullptr || a_->tables.more_locks.factors != nullptr; }

  Bag bag(const std::int32_t& input) const {
    if (a_->bags.offsets == nullptr || input >= a_->tables.words) return {&input, 1};
    const std::int64_t first = a_->bags.offsets[input];
    return {a_->bags.rows + first, a_->bags.offsets[input + 1] - first};
  }

  // As this thread sees it, and as it is in the table.
  float* row(std::int32_t r) const { return own == nullptr ? home(r) : own->row(home(r)); }
  float* home(std::int32_t r) const {
    return r < a_->tables.words ? a_->tables.input + r * a_->tables.stride
                                : a_->tables.more + (r - a_->tables.words) * a_->tables.stride;
  }

  // The factor on updates of an input; that of a mean is the mean of theirs.
  float lock(const std::int32_t& input) const {
    if (!locked()) return 1;
    const Bag b = bag(input);
    float sum = 0;
    for (ptrdiff_t i = 0; i < b.count; ++i) sum += lock_of_row(b.rows[i]);
    return sum / static_cast<float>(b.count);
  }

  void prefetch(const std::int32_t& input) const {
    const Bag b = bag(input);
    for (ptrdiff_t i = 0; i < b.count; ++i) prefetch_row(home(b.rows[i]), a_->tables.stride);
  }

  float* slot(ptrdiff_t i) const { return slots_ + i * 2 * a_->tables.stride; }

  // Whether threads work on copies of the tags, from their first word in a slice to the last: two threads in one
  // document would wait for each other's row (PV-DBOW, d = 100: 2.8 million words/s, one thread 3.7).
  static bool own_tags(const Word2Vec& a) { return a.corpus.tags.offsets && a.threads > 1 && !a.deterministic; }

  // These columns of an input, in this slot if it is a mean.
  float* compose(ptrdiff_t i, const std::int32_t& input, Range columns) noexcept {
    const Bag b = bag(input);
    return b.count == 1 ? row(b.rows[0]) : form(i, b, columns);
  }
  void settle(ptrdiff_t i, const std::int32_t& input, Range columns) noexcept {
    const Bag b = bag(input);
    if (b.count > 1) add_change(i, input, b, columns);
  }

  // What compose has returned.
  float* at(ptrdiff_t i, const std::int32_t& input) const {
    const Bag b = bag(input);
    return b.count == 1 ? row(b.rows[0]) : slot(i);
  }

  // A copy of a tag's row, and what has changed in it back into the row.
  void copy(ptrdiff_t i, const std::int32_t& tag, Range columns) noexcept { form(i, {&tag, 1}, columns); }
  void merge(ptrdiff_t i, const std::int32_t& tag, Range columns) noexcept { add_change(i, tag, {&tag, 1}, columns); }

 private:
  const Word2Vec* a_;
  float* slots_;

  float* form(ptrdiff_t i, Bag b, Range columns) noexcept {
    float* now = slot(i);
    for (ptrdiff_t c = columns.begin; c < columns.end; c += kWidth) store(now + c, V{});
    for (ptrdiff_t r = 0; r < b.count; ++r) add_scaled(now, 1, row(b.rows[r]), columns);
    const V share = splat(1.0f / static_cast<float>(b.count));
    for (ptrdiff_t c = columns.begin; c < columns.end; c += kWidth) {
      const V mean = share * load(now + c);
      store(now + c, mean);
      store(now + a_->tables.stride + c, mean);
    }
    return now;
  }

  void add_change(ptrdiff_t i, const std::int32_t& input, Bag b, Range columns) noexcept {
    float* change = slot(i);
    for (ptrdiff_t c = columns.begin; c < columns.end; c += kWidth)
      store(change + c, load(change + c) - load(change + a_->tables.stride + c));
    const float whole = lock(input);
    if (whole == 0) return;
    for (ptrdiff_t r = 0; r < b.count; ++r)
      add_scaled(row(b.rows[r]), locked() ? lock_of_row(b.rows[r]) / whole : 1, change, columns);
  }

  float lock_of_row(std::int32_t r) const {
    const Locks& locks = r < a_->tables.words ? a_->tables.locks : a_->tables.more_locks;
    return locks.factors == nullptr ? 1
                                    : locks.factors[(r < a_->tables.words ? r : r - a_->tables.words) % locks.count];
  }
};

FASTRNN_INLINE ptrdiff_t longest_outputs(const Word2Vec& a) {
  return max_of(a.tables.output ? kTogether + a.negatives : 0, a.tables.nodes ? a.words.longest_path : 0);
}

}  // namespace fastrnn::FASTRNN_ISA::w2v
