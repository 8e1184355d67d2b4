// The rows that every step of every thread updates: each thread works on copies, and adds what it has changed to the
// table after every slice.  Without, their cache lines wander between the cores with each update, and two threads train
// with hierarchical softmax slower than one (d = 100: 0.65 million words/s, one thread 1.03).
//
// Hierarchical softmax: the nodes nearest to the root.  Negative sampling: the most frequent words.
#pragma once

#include "kernels/word2vec.h"

namespace fastrnn::FASTRNN_ISA::w2v {

inline constexpr ptrdiff_t kHotBytes = 64 << 10;  // of a table

class HotRows {
 public:
  static ptrdiff_t rows(const Word2Vec& a, ptrdiff_t in_table) {
    const bool wanted = a.threads > 1 && !a.deterministic;
    return wanted ? min_of(in_table, kHotBytes / (a.tables.output_stride * static_cast<ptrdiff_t>(sizeof(float)))) : 0;
  }

  // Rows first .. first + count of the table; own, before: [count, stride].
  HotRows(float* table, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t count, float* own, float* before) noexcept
      : table_(table), stride_(stride), first_(first), count_(count), own_(own), before_(before) {}

  bool has_table(const float* table) const { return table_ == table; }

  float* row(std::int32_t i) const {
    const ptrdiff_t at = i - first_;
    return at >= 0 && at < count_ ? own_ + at * stride_ : table_ + i * stride_;
  }

  void read() noexcept {
    if (count_ == 0) return;
    const auto bytes = static_cast<std::size_t>(count_ * stride_) * sizeof(float);
    __builtin_memcpy(own_, table_ + first_ * stride_, bytes);
    __builtin_memcpy(before_, own_, bytes);
  }

  void merge() noexcept {
    float* table = table_ + first_ * stride_;
    for (ptrdiff_t c = 0; c < count_ * stride_; c += kWidth) {
      const V now = load(table + c) + (load(own_ + c) - load(before_ + c));
      store(table + c, now);
      store(own_ + c, now);
      store(before_ + c, now);
    }
  }

 private:
  float* table_;
  ptrdiff_t stride_, first_, count_;
  float *own_, *before_;
};

// One thread merges at a time; who finds another at it goes on and merges after its next slice.
class MergeLock {
 public:
  bool try_enter() noexcept { return !__atomic_test_and_set(&taken_, __ATOMIC_ACQUIRE); }
  void leave() noexcept { __atomic_clear(&taken_, __ATOMIC_RELEASE); }

 private:
  bool taken_ = false;
};

}  // namespace fastrnn::FASTRNN_ISA::w2v
