// Transposition in registers, and of blocks of rows that lie anywhere.
#pragma once

#include <utility>

#include "kernels/gemm.h"

namespace fastrnn::FASTRNN_ISA {

template <class V, int... k>
FASTRNN_INLINE void interleave(V a, V b, V& low, V& high, std::integer_sequence<int, k...>) {
  constexpr int U = sizeof...(k);
  low = __builtin_shufflevector(a, b, (k % 2 * U + k / 2)...);
  high = __builtin_shufflevector(a, b, (k % 2 * U + U / 2 + k / 2)...);
}

// A square of vectors.  Each stage is a perfect shuffle of the elements; after log2(lanes) of them i, j is j, i.
template <class T>
FASTRNN_INLINE void transpose(Vec<T> (&r)[kLanes<T>]) {
  constexpr int U = kLanes<T>;
#pragma GCC unroll 4
  for (int stage = 1; stage < U; stage *= 2) {
    Vec<T> s[U];
#pragma GCC unroll 8
    for (int i = 0; i < U / 2; ++i)
      interleave(r[i], r[i + U / 2], s[2 * i], s[2 * i + 1], std::make_integer_sequence<int, U>{});
#pragma GCC unroll 16
    for (int i = 0; i < U; ++i) r[i] = s[i];
  }
}

template <class T>
struct LoadNumbers {
  Vec<T> operator()(const T* from, ptrdiff_t j, ptrdiff_t n) const {
    return n == kLanes<T> ? load(from + j) : load_n(from + j, n);
  }
};

// to[j * to_stride + i] = row(i)[j] for i < rows, j < columns; a null row is zeros.  Rows are written in full vectors
// (zeros past `rows`) unless `exact`.  load_at(row, j, n) gives columns [j, j + n) of a row.
template <class T, class Row, class Load = LoadNumbers<T>>
FASTRNN_INLINE void transpose_rows(T* to, ptrdiff_t to_stride, ptrdiff_t rows, ptrdiff_t columns, bool exact, Row row,
                                   Load load_at = {}) {
  constexpr ptrdiff_t U = kLanes<T>;
  for (ptrdiff_t i = 0; i < rows; i += U) {
    const T* from[U];
    bool all = true;
    for (ptrdiff_t k = 0; k < U; ++k) {
      from[k] = i + k < rows ? row(i + k) : nullptr;
      all = all && from[k] != nullptr;
    }
    const ptrdiff_t width = exact ? min_of(U, rows - i) : U;
    for (ptrdiff_t j = 0; j < columns; j += U) {
      const ptrdiff_t n = min_of(U, columns - j);
      Vec<T> square[U];
      if (all && n == U)
        for (ptrdiff_t k = 0; k < U; ++k) square[k] = load_at(from[k], j, U);
      else
        for (ptrdiff_t k = 0; k < U; ++k) square[k] = from[k] == nullptr ? Vec<T>{} : load_at(from[k], j, n);
      transpose<T>(square);
      for (ptrdiff_t k = 0; k < n; ++k)
        if (width == U)
          store(to + (j + k) * to_stride + i, square[k]);
        else
          store_n(to + (j + k) * to_stride + i, square[k], width);
    }
  }
}

}  // namespace fastrnn::FASTRNN_ISA
