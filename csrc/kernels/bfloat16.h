// Products of bfloat16: a cell of the size of a float holds a pair of numbers that follow each other along the depth,
// the even one in the low half.  An odd depth is filled up with a zero.
//
// Sums are those of the dot-product instruction, so that every processor that multiplies pairs gives the same bits:
// c + odd product, rounded, then + even product, rounded (AVX512_BF16; fastrnn/reference/bfloat16.py).
#pragma once

#include <type_traits>

#include "kernels/transpose.h"

namespace fastrnn::FASTRNN_ISA {

// Tiles that multiply pairs on any processor, as a chain of fma: for tests, and for what was begun elsewhere.
extern const Tiles<float> kEmulatedPairs;

// How the operands of a call lie in memory: as numbers, or as pairs, for these tiles.
template <class T>
struct Operands {
  const Tiles<T>* pairs;  // null: numbers
  explicit Operands(const void* of) : pairs(static_cast<const Tiles<T>*>(of)) {}
  bool paired() const { return std::is_same_v<T, float> && pairs != nullptr; }
  ptrdiff_t cells(ptrdiff_t numbers) const { return paired() ? (numbers + 1) / 2 : numbers; }
  // Pairs of the rows of a step, filled up with zeros: in a depth of many steps no block of a sum has two of them.
  ptrdiff_t pairs_of(ptrdiff_t rows) const { return ceil_div(ceil_div(rows, 2), pairs->block) * pairs->block; }
  const Tiles<T>* tiles() const { return paired() ? pairs : &Tiles<T>::numbers; }
};

typedef std::uint32_t FloatBits __attribute__((vector_size(FASTRNN_VECTOR_BYTES)));

// The nearest bfloat16, of two the even one, in the high half of each lane; NaN stays NaN.
FASTRNN_INLINE FloatBits rounded(Vec<float> v) {
  const FloatBits bits = (FloatBits)v;
  const FloatBits near = bits + 0x7FFFu + ((bits >> 16) & 1u);  // of a NaN it could be an infinity
  return (v == v ? near : bits | 0x400000u) & 0xFFFF0000u;
}
FASTRNN_INLINE Vec<float> pair(Vec<float> even, Vec<float> odd) {
  return (Vec<float>)((rounded(even) >> 16) | rounded(odd));
}

template <int... k>
FASTRNN_INLINE Vec<float> neighbours(Vec<float> a, Vec<float> b, std::integer_sequence<int, k...>) {
  return pair(__builtin_shufflevector(a, b, 2 * k...), __builtin_shufflevector(a, b, (2 * k + 1)...));
}

// Cells of `count` numbers of a row, at most those of one vector of cells.
FASTRNN_INLINE Vec<float> load_neighbours(const float* from, ptrdiff_t count) {
  constexpr ptrdiff_t U = kLanes<float>;
  constexpr std::make_integer_sequence<int, U> lanes;
  if (count >= 2 * U) return neighbours(load(from), load(from + U), lanes);
  const Vec<float> low = load_n(from, min_of(U, count));
  return neighbours(low, count > U ? load_n(from + U, count - U) : Vec<float>{}, lanes);
}

// For transpose_rows: rows of `numbers`, as cells.
struct LoadPairs {
  ptrdiff_t numbers;
  Vec<float> operator()(const float* from, ptrdiff_t j, ptrdiff_t) const {
    return load_neighbours(from + 2 * j, numbers - 2 * j);
  }
};

// transpose_rows of rows of `numbers`, as cells or as they are.
template <class T, class Row>
FASTRNN_INLINE void transpose_cells(T* to, ptrdiff_t to_stride, ptrdiff_t rows, ptrdiff_t numbers,
                                    const Operands<T>& operands, Row row) {
  if constexpr (std::is_same_v<T, float>)
    if (operands.paired())
      return transpose_rows<T>(to, to_stride, rows, operands.cells(numbers), false, row, LoadPairs{numbers});
  transpose_rows<T>(to, to_stride, rows, numbers, false, row);
}

// A row of `count` numbers as cells.
void pair_row(float* to, const float* from, ptrdiff_t count) noexcept;

// Two rows as the halves of `width` cells, in full vectors; numbers from `count` on, and a row that is null, are zeros.
void pair_rows(float* to, const float* even, const float* odd, ptrdiff_t width, ptrdiff_t count) noexcept;

// Rows 0 and 1, 2 and 3, ... of a matrix as `pairs` rows of `count` cells, `stride` apart; zeros past its last row.
void pair_block(float* to, ptrdiff_t stride, Rows<const float> from, ptrdiff_t rows, ptrdiff_t count,
                ptrdiff_t pairs) noexcept;

// Rows of a grid as cells, `stride` apart.
void pair_grid(float* to, ptrdiff_t stride, Rows<const float> from, ptrdiff_t outer, ptrdiff_t inner,
               ptrdiff_t columns) noexcept;

}  // namespace fastrnn::FASTRNN_ISA
