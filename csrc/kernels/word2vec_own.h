// Deterministic training: pieces of a block of positions are trained at the same time, each as if it were alone.  A row
// that only one of them touches is updated where it is.  Of one that several touch each works on a copy of its own, and
// the changes are added to the table when all are done: what a piece reads is what the block began with and its own
// updates, whoever trains it, and when.
#pragma once

#include "kernels/word2vec.h"

namespace fastrnn::FASTRNN_ISA::w2v {

FASTRNN_INLINE std::uint32_t row_hash(const float* row) {
  return static_cast<std::uint32_t>((reinterpret_cast<std::uintptr_t>(row) / 64 * 0x9E3779B97F4A7C15u) >> 32);
}

// A set of rows, as one bit for each value of a hash: it may have a row too many.  That costs a copy, not a bit of the
// result, since the copy of a row that no other piece has is what the row becomes.
struct RowSet {
  static constexpr ptrdiff_t kWords = 1024;  // 2^16 bits; a piece of skip-gram touches some 600 rows
  std::uint64_t* words;

  void clear() const { __builtin_memset(words, 0, kWords * sizeof(std::uint64_t)); }
  void add(const float* row) const {
    const std::uint32_t h = row_hash(row);
    words[h >> 6 & (kWords - 1)] |= std::uint64_t{1} << (h & 63);
  }
  bool has(std::uint32_t h) const { return words[h >> 6 & (kWords - 1)] >> (h & 63) & 1; }
};

// The copies of a piece.
class OwnRows {
 public:
  struct Place {
    std::uint32_t hash;
    std::int32_t copy;  // -1: free
  };

  OwnRows() = default;
  // shared: the rows that several pieces touch.  table: [power of 2 >= 2 * capacity].  rows, places, merged, own:
  // [capacity] and [capacity, stride].
  OwnRows(RowSet shared, ptrdiff_t stride, Place* table, ptrdiff_t table_size, float** rows, std::int32_t* places,
          unsigned char* merged, float* own) noexcept
      : shared_(shared),
        stride_(stride),
        table_(table),
        mask_(static_cast<std::uint32_t>(table_size - 1)),
        rows_(rows),
        places_(places),
        merged_(merged),
        own_(own) {
    for (ptrdiff_t i = 0; i < table_size; ++i) table_[i] = {0, -1};
  }

  static ptrdiff_t table_size(ptrdiff_t capacity) {
    ptrdiff_t n = 2;
    while (n < 2 * capacity) n *= 2;
    return n;
  }

  // The row as this piece sees it.
  float* row(float* row) noexcept {
    const std::uint32_t h = row_hash(row);
    if (!shared_.has(h)) return row;
    std::uint32_t at = h & mask_;
    for (; table_[at].copy >= 0; at = (at + 1) & mask_)
      if (table_[at].hash == h && rows_[table_[at].copy] == row) return copy(table_[at].copy);
    rows_[count_] = row;
    places_[count_] = static_cast<std::int32_t>(at);
    merged_[count_] = 0;
    table_[at] = {h, static_cast<std::int32_t>(count_)};
    float* to = copy(count_++);
    for (ptrdiff_t c = 0; c < stride_; c += kWidth) store(to + c, load(row + c));
    return to;
  }

  // The copy of a row, to be merged now; null: there is none.
  float* take(const float* row) noexcept {
    const std::uint32_t h = row_hash(row);
    for (std::uint32_t at = h & mask_; table_[at].copy >= 0; at = (at + 1) & mask_)
      if (table_[at].hash == h && rows_[table_[at].copy] == row) {
        merged_[table_[at].copy] = 1;
        return copy(table_[at].copy);
      }
    return nullptr;
  }
  bool is_merged(ptrdiff_t i) const { return merged_[i] != 0; }

  ptrdiff_t count() const { return count_; }
  float* original(ptrdiff_t i) const { return rows_[i]; }
  float* copy(ptrdiff_t i) const { return own_ + i * stride_; }

  void clear() noexcept {
    for (ptrdiff_t i = 0; i < count_; ++i) table_[places_[i]].copy = -1;
    count_ = 0;
  }

 private:
  RowSet shared_{};
  ptrdiff_t stride_ = 0, count_ = 0;
  Place* table_ = nullptr;
  std::uint32_t mask_ = 0;
  float** rows_ = nullptr;
  std::int32_t* places_ = nullptr;
  unsigned char* merged_ = nullptr;
  float* own_ = nullptr;
};

// How far a row goes along the sum S of the changes that k pieces have made: 1 where they are small beside the row, and
// 1 / k, to their mean, where they are not.  Each piece by itself is trained step for step and does not overshoot; k
// times as far does, wherever words come in bursts, and at the root of a Huffman tree.
//   r = |S| / k / max(1, |row|), q = (4 r)^2, share = (1 + q) / (1 + k q)
inline constexpr float kCaution = 16;
FASTRNN_INLINE float share_of_changes(const float* sum, const float* row, int k, ptrdiff_t stride) {
  float squares[2][1 + kScoreSlack];
  score_tile<1, 1>(&sum, &sum, stride, squares[0]);
  score_tile<1, 1>(&row, &row, stride, squares[1]);
  const auto pieces = static_cast<float>(k);
  const float size = squares[1][0] > 1 ? squares[1][0] : 1;
  const float q = kCaution * squares[0][0] / (pieces * pieces * size);
  return (1 + q) / (1 + pieces * q);
}

// The row becomes what n >= 1 pieces have made of it; their copies are used up.
FASTRNN_INLINE void merge_row(float* row, float* const* copies, int n, ptrdiff_t stride) {
  float* sum = copies[0];
  if (n == 1) {
    for (ptrdiff_t c = 0; c < stride; c += kWidth) store(row + c, load(sum + c));
    return;
  }
  int k = 0;
  for (int i = 0; i < n; ++i) {
    Lanes changed{};
    for (ptrdiff_t c = 0; c < stride; c += kWidth) {
      const V change = load(copies[i] + c) - load(row + c);
      changed |= change != V{};
      store(sum + c, i == 0 ? change : load(sum + c) + change);
    }
    std::int32_t any = 0;
    for (int lane = 0; lane < kWidth; ++lane) any |= changed[lane];
    k += any != 0;
  }
  if (k == 0) return;
  const V share = splat(share_of_changes(sum, row, k, stride));
  for (ptrdiff_t c = 0; c < stride; c += kWidth) store(row + c, fma(share, load(sum + c), load(row + c)));
}

}  // namespace fastrnn::FASTRNN_ISA::w2v
