// The nearest rows of a matrix to each of many queries: products in blocks that stay in the cache, and a running choice
// of the best.  The scores of all pairs (queries x rows) never exist.
#pragma once

#include "base/ops.h"
#include "base/threads.h"
#include "kernels/grid.h"
#include "kernels/transpose.h"

namespace fastrnn::FASTRNN_ISA {

// The best pairs of those pushed, as a heap whose root is the worst of them.  A larger score is better, a number is
// better than NaN, and of equals the smaller index is: a total order, so the order of pushing changes nothing.
template <class T>
struct Best {
  T* score;             // [capacity]
  std::int64_t* index;  // [capacity]
  ptrdiff_t capacity, count;

  static bool better(T a, std::int64_t i, T b, std::int64_t j) {
    if (a > b || a < b) return a > b;
    const bool a_is_nan = a != a, b_is_nan = b != b;
    return a_is_nan != b_is_nan ? b_is_nan : i < j;
  }
  void put(ptrdiff_t at, T s, std::int64_t i) {
    score[at] = s;
    index[at] = i;
  }
  // Puts the pair into the empty root and restores the heap.
  void sift_down(T s, std::int64_t i) {
    ptrdiff_t at = 0;
    for (ptrdiff_t child; (child = 2 * at + 1) < count; at = child) {
      if (child + 1 < count && better(score[child], index[child], score[child + 1], index[child + 1])) ++child;
      if (!better(s, i, score[child], index[child])) break;
      put(at, score[child], index[child]);
    }
    put(at, s, i);
  }
  void push(T s, std::int64_t i) {
    if (count == capacity) {
      if (better(s, i, score[0], index[0])) sift_down(s, i);
      return;
    }
    ptrdiff_t at = count++;
    while (at > 0) {
      const ptrdiff_t up = (at - 1) / 2;
      if (!better(score[up], index[up], s, i)) break;
      put(at, score[up], index[up]);
      at = up;
    }
    put(at, s, i);
  }
  // Best first.  It is no heap afterwards.
  void sort() {
    const ptrdiff_t all = count;
    while (count > 1) {
      --count;
      const T s = score[count];
      const std::int64_t i = index[count];
      put(count, score[0], index[0]);
      sift_down(s, i);
    }
    count = all;
  }
};

// Rows whose products lie in the first-level cache beside a panel of packed queries.
inline constexpr ptrdiff_t kNearestRows = 4 * kTileRows;

template <class T>
struct NearestCall {
  static constexpr ptrdiff_t U = kLanes<T>, kPanel = U * kTileVectors;
  const Nearest<T>& a;
  ptrdiff_t columns;          // queries, rounded up to vectors
  T *packed, *zero, *scores;  // packed: queries, or with few of them rows by thread; scores: [threads, *, kPanel]
  T *worst, *kept;            // [threads, columns], [threads, queries, topn]
  std::int64_t* index;        // [threads, queries, topn]

  NearestCall(const Nearest<T>& args, T* base, ptrdiff_t* used = nullptr)
      : a(args), columns(ceil_div(a.queries, U) * U) {
    Scratch<T> scratch{base};
    packed = scratch.take((few() ? a.threads * kPanel : columns) * a.depth);
    zero = scratch.take(kPanel);
    scores = scratch.take(a.threads * kNearestRows * kPanel);
    worst = scratch.take(a.threads * columns);
    kept = scratch.take(a.threads * a.queries * a.topn);
    constexpr ptrdiff_t kWords = static_cast<ptrdiff_t>(sizeof(std::int64_t) / sizeof(T));
    index = reinterpret_cast<std::int64_t*>(scratch.take(a.threads * a.queries * a.topn * kWords));
    if (used != nullptr) *used = scratch.used;
  }

  // Queries that would leave half of a vector empty.  The rows are then turned into the lanes instead, which gives the
  // same chains (70k x 100, one query, one thread: 4.0 -> 2.0 ms).
  bool few() const { return a.queries <= U / 2; }

  Best<T> best(int thread, ptrdiff_t query) const {
    const ptrdiff_t at = (thread * a.queries + query) * a.topn;
    return {kept + at, index + at, a.topn, 0};
  }
  Range rows(int thread) const { return part(a.rows, a.threads, thread); }

  // f(first column, width) for the panels of `which`; each is a whole product of its own.
  template <class F>
  void panels(Range which, F f) const {
    const ptrdiff_t vectors = columns / U, count = panel_count<T>(columns);
    for (ptrdiff_t i = which.begin; i < which.end; ++i) {
      const Range v = part(vectors, count, i);
      f(v.begin * U, (v.end - v.begin) * U);
    }
  }

  void pack(int thread) const {
    panels(part(few() ? 0 : panel_count<T>(columns), a.threads, thread), [&](ptrdiff_t column, ptrdiff_t width) {
      T* panel = packed + column * a.depth;
      for (ptrdiff_t j = 0; j < width; j += U)
        transpose_rows<T>(panel + j, width, U, a.depth, false, [&](ptrdiff_t i) -> const T* {
          return column + j + i < a.queries ? a.query + (column + j + i) * a.query_stride : nullptr;
        });
    });
    T* limit = worst + thread * columns;
    // Nothing is at most NaN: all pass until a heap is full.  Of the columns that only fill a vector, none passes.
    const T all = static_cast<T>(__builtin_nan("")), none = static_cast<T>(__builtin_inf());
    for (ptrdiff_t q = 0; q < columns; ++q) limit[q] = q < a.queries ? all : none;
    if (thread == 0)
      for (ptrdiff_t i = 0; i < kPanel; ++i) zero[i] = T(0);
  }

  // Looks through the scores of rows [begin, end) and one panel.  Few pass: of V rows in random order some n ln(V / n).
  void choose(int thread, Range block, ptrdiff_t column, ptrdiff_t width, const T* block_scores) const {
    T* limit = worst + thread * columns + column;
    const ptrdiff_t first = rows(thread).begin;
    for (ptrdiff_t r = block.begin; r < block.end; ++r) {
      const Vec<T> scale = splat(a.scale == nullptr ? T(1) : a.scale[r]);
      const T* row = block_scores + (r - block.begin) * width;
      for (ptrdiff_t j = 0; j < width; j += U) {
        const Vec<T> score = load(row + j) * scale;
        for (unsigned passed = not_at_most(score, load(limit + j)); passed != 0; passed &= passed - 1) {
          const int lane = __builtin_ctz(passed);
          const ptrdiff_t query = column + j + lane;
          if (query >= a.queries) break;
          Best<T> b = best(thread, query);
          b.count = min_of(a.topn, r - first);
          b.push(score[lane], r);
          if (b.count == a.topn) limit[j + lane] = b.score[0];
        }
      }
    }
  }

  // A tile walks along several rows at once, which the processor does not foresee (70k x 100, 100 queries: 25 -> 21
  // ms).
  void prefetch(ptrdiff_t begin, ptrdiff_t end) const {
    constexpr ptrdiff_t kLine = static_cast<ptrdiff_t>(64 / sizeof(T));
    for (ptrdiff_t r = begin; r < end; ++r)
      for (ptrdiff_t k = 0; k < a.depth; k += kLine) __builtin_prefetch(a.row + r * a.row_stride + k);
  }

  // The same of rows [begin, begin + count) in the lanes.
  void choose_few(int thread, ptrdiff_t begin, ptrdiff_t count, ptrdiff_t width, const T* block_scores) const {
    const ptrdiff_t first = rows(thread).begin;
    for (ptrdiff_t q = 0; q < a.queries; ++q) {
      T& limit = worst[thread * columns + q];
      for (ptrdiff_t j = 0; j < count; j += U) {
        const ptrdiff_t n = min_of(U, count - j);
        const Vec<T> scale = a.scale == nullptr ? splat(T(1)) : load_n(a.scale + begin + j, n);
        const Vec<T> score = load(block_scores + q * width + j) * scale;
        unsigned passed = not_at_most(score, splat(limit)) & ((1u << n) - 1);
        for (; passed != 0; passed &= passed - 1) {
          const int lane = __builtin_ctz(passed);
          Best<T> b = best(thread, q);
          b.count = min_of(a.topn, begin + j + lane - first);
          b.push(score[lane], begin + j + lane);
          if (b.count == a.topn) limit = b.score[0];
        }
      }
    }
  }

  void run_few(int thread) const {
    T *panel = packed + thread * kPanel * a.depth, *z = scores + thread * kNearestRows * kPanel;
    const Range mine = rows(thread);
    for (ptrdiff_t r = mine.begin; r < mine.end; r += kPanel) {
      const ptrdiff_t count = min_of(kPanel, mine.end - r), width = ceil_div(count, U) * U;
      prefetch(r + count, min_of(r + count + kPanel, mine.end));
      for (ptrdiff_t j = 0; j < count; j += U)
        transpose_rows<T>(panel + j, width, min_of(U, count - j), a.depth, false,
                          [&](ptrdiff_t i) { return a.row + (r + j + i) * a.row_stride; });
      product<T>({1, a.queries, a.depth, width, {a.query, 0, a.query_stride}, {zero, 0, 0}, {z, 0, width}, panel, 0});
      choose_few(thread, r, count, width, z);
    }
  }

  void run(int thread) const {
    if (few()) return run_few(thread);
    T* z = scores + thread * kNearestRows * kPanel;
    const Range mine = rows(thread);
    // Blocks of rows outside: they stay in the second-level cache while all panels of queries pass.
    balanced(mine, 256, [&](ptrdiff_t r0, ptrdiff_t r1) {
      panels({0, panel_count<T>(columns)}, [&](ptrdiff_t column, ptrdiff_t width) {
        balanced({r0, r1}, kNearestRows, [&](ptrdiff_t s0, ptrdiff_t s1) {
          if (column == 0) prefetch(s1, min_of(s1 + kNearestRows, mine.end));
          product<T>({1,
                      s1 - s0,
                      a.depth,
                      width,
                      {a.row + s0 * a.row_stride, 0, a.row_stride},
                      {zero, 0, 0},
                      {z, 0, width},
                      packed + column * a.depth,
                      0});
          choose(thread, {s0, s1}, column, width, z);
        });
      });
    });
  }

  // The best of all threads, in order.
  void merge(int thread) const {
    const Range mine = part(a.queries, a.threads, thread);
    for (ptrdiff_t q = mine.begin; q < mine.end; ++q) {
      Best<T> all{a.score + q * a.topn, a.index + q * a.topn, a.topn, 0};
      for (int t = 0; t < a.threads; ++t) {
        const Best<T> b = best(t, q);
        const Range range = rows(t);
        for (ptrdiff_t i = 0; i < min_of(a.topn, range.end - range.begin); ++i) all.push(b.score[i], b.index[i]);
      }
      all.sort();
    }
  }
};

template <class T>
ptrdiff_t nearest_scratch(const Nearest<T>& a) noexcept {
  ptrdiff_t used = 0;
  NearestCall<T>(a, nullptr, &used);
  return used;
}

template <class T>
void nearest(const Nearest<T>& a) noexcept {
  const NearestCall<T> call(a, a.scratch);
  Barrier barrier(a.threads);
  auto body = [&](int thread) noexcept {
    call.pack(thread);
    barrier.wait();
    call.run(thread);
    barrier.wait();
    call.merge(thread);
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
