// Rows of a [steps, rows, columns] array in the order of the gradient chains, and the shares of threads.
#pragma once

#include "kernels/gemm.h"

namespace fastrnn::FASTRNN_ISA {

FASTRNN_INLINE ptrdiff_t round_to_block(ptrdiff_t n) { return ceil_div(n, kBlock) * kBlock; }

// load and store of columns of which only some exist.
template <class T>
FASTRNN_INLINE Vec<T> load_units(const T* p, ptrdiff_t valid) {
  return valid >= kLanes<T> ? load(p) : load_n(p, max_of(0, valid));
}
template <class T>
FASTRNN_INLINE void store_units(T* p, Vec<T> v, ptrdiff_t valid) {
  if (valid >= kLanes<T>)
    store(p, v);
  else if (valid > 0)
    store_n(p, v, valid);
}

// How long rows of n elements are made: an odd number of cache lines, so that a column of many rows spreads over all
// sets of the first-level cache.
FASTRNN_INLINE ptrdiff_t odd_lines(ptrdiff_t n, ptrdiff_t element_bytes) {
  return (ceil_div(n * element_bytes, 64) | 1) * 64 / element_bytes;
}

// Hands out consecutive, aligned parts of the scratch; with a null base it measures.
template <class T>
struct Scratch {
  T* base;
  ptrdiff_t used = 0;
  FASTRNN_APART T* take(ptrdiff_t n) {
    T* p = base == nullptr ? nullptr : base + used;
    used += ceil_div(n, kBlock) * kBlock;
    return p;
  }
};

// Place of a row: from the last step to the first, batch rows ascending within a step, which takes `places` >= rows.
struct Chain {
  ptrdiff_t steps, rows, places;
  ptrdiff_t length() const { return steps * places; }
  ptrdiff_t step(ptrdiff_t place) const { return steps - 1 - place / places; }
  ptrdiff_t row(ptrdiff_t place) const { return place % places; }
  bool has(ptrdiff_t place) const { return row(place) < rows; }
  ptrdiff_t index(ptrdiff_t place) const { return step(place) * rows + row(place); }
  template <class T>
  T* at(const Rows<T>& a, ptrdiff_t place) const {
    return a.p + step(place) * a.outer + row(place) * a.inner;
  }
};

// Cuts places [begin, end), counted in memory order (step, row), into rectangles: f(step, steps, row, rows).
template <class F>
FASTRNN_INLINE void rectangles(ptrdiff_t rows, Range places, F f) {
  ptrdiff_t at = places.begin;
  while (at < places.end) {
    const ptrdiff_t row = at % rows, left = places.end - at;
    const ptrdiff_t steps = row == 0 ? max_of(1, left / rows) : 1;
    const ptrdiff_t width = steps > 1 ? rows : min_of(rows - row, left);
    f(at / rows, steps, row, width);
    at += steps * width;
  }
}

template <class T>
FASTRNN_INLINE Rows<T> moved(Rows<T> a, ptrdiff_t step, ptrdiff_t row, ptrdiff_t column = 0) {
  return {a.p + step * a.outer + row * a.inner + column, a.outer, a.inner};
}

// The share of one thread of a matrix: whole rows when each thread gets two register tiles of them, else columns.
struct MatrixShare {
  Range rows, columns;
  bool empty() const { return rows.begin >= rows.end || columns.begin >= columns.end; }
};
template <class T>
FASTRNN_INLINE MatrixShare matrix_share(ptrdiff_t rows, ptrdiff_t columns, int threads, int thread) {
  if (threads == 1 || rows >= 2 * kTileRows * threads || columns < kBlock * threads)
    return {part(rows, threads, thread), {0, columns}};
  const Range blocks = part(ceil_div(columns, kBlock), threads, thread);
  return {{0, rows}, {blocks.begin * kBlock, min_of(columns, blocks.end * kBlock)}};
}

}  // namespace fastrnn::FASTRNN_ISA
