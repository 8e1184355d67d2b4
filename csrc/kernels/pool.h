// One vector for a sequence: its last step, the mean of its steps, or the largest of each column.
#pragma once

#include "base/ops.h"
#include "base/threads.h"
#include "kernels/grid.h"

namespace fastrnn::FASTRNN_ISA {

// Calls f(first column, columns) for the vectors of a row.
template <class T, class F>
FASTRNN_INLINE void for_columns(ptrdiff_t columns, F f) {
  for (ptrdiff_t j = 0; j < columns; j += kLanes<T>) f(j, min_of(kLanes<T>, columns - j));
}
template <class T>
FASTRNN_INLINE Vec<T> load_some(const T* p, ptrdiff_t n) {
  return n == kLanes<T> ? load(p) : load_n(p, n);
}
template <class T>
FASTRNN_INLINE void store_some(T* p, Vec<T> v, ptrdiff_t n) {
  if (n == kLanes<T>)
    store(p, v);
  else
    store_n(p, v, n);
}
// a where the mask is set, else b.
template <class T>
FASTRNN_INLINE Vec<T> where(IntVec<T> mask, Vec<T> a, Vec<T> b) {
  return (Vec<T>)(((IntVec<T>)a & mask) | ((IntVec<T>)b & ~mask));
}
template <class T>
FASTRNN_INLINE void clear(T* p, ptrdiff_t columns) {
  __builtin_memset(p, 0, static_cast<std::size_t>(columns) * sizeof(T));
}
template <class T>
FASTRNN_INLINE void copy(T* to, const T* from, ptrdiff_t columns) {
  __builtin_memcpy(to, from, static_cast<std::size_t>(columns) * sizeof(T));
}

// Rows of x are walked as they lie, and y is added into in the first-level cache.
template <class T>
void pool(const Pool<T>& a) noexcept {
  auto body = [&](int thread) noexcept {
    const Range rows = part(a.rows, a.threads, thread);
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b) {
      T* y = a.y + b * a.columns;
      const ptrdiff_t length = a.lengths[b], straight = a.columns - a.turned;
      if (length == 0) {
        clear(y, a.columns);
      } else if (a.kind == PoolKind::kLast) {
        copy(y, moved(a.x, length - 1, b).p, straight);
        copy(y + straight, moved(a.x, 0, b, straight).p, a.turned);
      } else {
        copy(y, moved(a.x, 0, b).p, a.columns);
        for (ptrdiff_t t = 1; t < length; ++t) {
          const T* x = moved(a.x, t, b).p;
          for_columns<T>(a.columns, [&](ptrdiff_t j, ptrdiff_t n) {
            const Vec<T> more = load_some(x + j, n), so_far = load_some(y + j, n);
            // A NaN is the largest, and the first one stays.
            const Vec<T> next = a.kind == PoolKind::kMean
                                    ? so_far + more
                                    : where<T>((more > so_far) | ((more != more) & (so_far == so_far)), more, so_far);
            store_some(y + j, next, n);
          });
        }
        const Vec<T> count = splat(static_cast<T>(length));
        if (a.kind == PoolKind::kMean)
          for_columns<T>(a.columns,
                         [&](ptrdiff_t j, ptrdiff_t n) { store_some(y + j, load_some(y + j, n) / count, n); });
      }
    }
  };
  run_team(a.threads, body);
}

// The largest goes back to the first step that has it, which shows in x and y: nothing else is kept.
template <class T>
FASTRNN_INLINE void largest_backward(const Pool<T>& a, ptrdiff_t b, const T* dy, ptrdiff_t j, ptrdiff_t n) {
  const Vec<T> y = load_some(a.y + b * a.columns + j, n), d = load_some(dy + j, n);
  IntVec<T> open = ~IntVec<T>{};
  for (ptrdiff_t t = 0; t < a.lengths[b]; ++t) {
    const Vec<T> x = load_some(moved(a.x, t, b, j).p, n);
    const IntVec<T> here = ((x == y) | (x != x)) & open;
    open &= ~here;
    store_some(moved(a.dx, t, b, j).p, (Vec<T>)((IntVec<T>)d & here), n);
  }
}

template <class T>
void pool_backward(const Pool<T>& a) noexcept {
  auto body = [&](int thread) noexcept {
    const Range rows = part(a.rows, a.threads, thread);
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b) {
      const T* dy = moved(a.dy, 0, b).p;
      const ptrdiff_t length = a.lengths[b], straight = a.columns - a.turned;
      const bool last = a.kind == PoolKind::kLast;
      for (ptrdiff_t t = last ? 0 : length; t < a.steps; ++t) clear(moved(a.dx, t, b).p, a.columns);
      if (length == 0) continue;
      if (last) {
        copy(moved(a.dx, length - 1, b).p, dy, straight);
        copy(moved(a.dx, 0, b, straight).p, dy + straight, a.turned);
      } else if (a.kind == PoolKind::kMax) {
        for_columns<T>(a.columns, [&](ptrdiff_t j, ptrdiff_t n) { largest_backward(a, b, dy, j, n); });
      } else {
        const Vec<T> count = splat(static_cast<T>(length));
        for (ptrdiff_t t = 0; t < length; ++t) {
          T* dx = moved(a.dx, t, b).p;
          for_columns<T>(a.columns,
                         [&](ptrdiff_t j, ptrdiff_t n) { store_some(dx + j, load_some(dy + j, n) / count, n); });
        }
      }
    }
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
