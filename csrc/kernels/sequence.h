// The one time loop, for all cells: what forward and backward share.  A cell is a policy class, see cells/lstm.h and
// docs/decisions/0001-cell-contract.md.
//
// A row of `saved` holds the slots of one (step, batch row) as [hidden / 16][slot][16]: all slots of 16 units lie
// together, for every vector length.  "Columns" below count in that order.
#pragma once

#include "base/interrupt.h"
#include "base/threads.h"
#include "kernels/grid.h"
#include "kernels/slots.h"
#include "kernels/transpose.h"

namespace fastrnn::FASTRNN_ISA {

// Columns of `saved` that are worked on together: about 64, so that their product is one panel of full vectors.
inline constexpr ptrdiff_t kGroupColumns = 64;

// Rows of the batch that pass over one panel before their pointwise: their dh stays in the first-level cache.
inline constexpr ptrdiff_t kRowBlock = 6 * kTileRows;

// Geometry of one layer.
template <class Cell>
struct Geometry {
  ptrdiff_t blocks, padded, row;
  explicit Geometry(const Shape& s, ptrdiff_t element_bytes)
      : blocks(ceil_div(s.hidden, kBlock)), padded(blocks * kBlock), row(padded * Cell::kSlots) {
    // An odd number of cache lines: a column of many rows then spreads over all sets of the first-level cache.
    if (row * element_bytes / 64 % 2 == 0) row += 64 / element_bytes;
  }
  static constexpr ptrdiff_t kBlocksPerGroup = max_of(1, kGroupColumns / (kBlock * Cell::kSlots));
  static constexpr ptrdiff_t block_columns(Slots s) { return kBlock * s.count; }
};

// The share of one thread: rows of the batch and blocks of units.
struct Share {
  Range rows, blocks;
};
FASTRNN_INLINE Share share_of(const Plan& plan, int thread, ptrdiff_t rows, ptrdiff_t blocks) {
  const int row_group = thread / plan.unit_groups, unit_group = thread % plan.unit_groups;
  return {part(rows, plan.row_groups, row_group), part(blocks, plan.unit_groups, unit_group)};
}

// The barriers of one call: one for the whole team and one for each row group.
struct Barriers {
  explicit Barriers(const Plan& plan) : team(plan.threads()), row_groups(plan.row_groups) {
    for (int i = 0; i < row_groups; ++i) new (storage[i]) Barrier(plan.unit_groups);
  }
  ~Barriers() {
    for (int i = 0; i < row_groups; ++i) group(i)->~Barrier();
  }
  Barriers(const Barriers&) = delete;
  Barriers& operator=(const Barriers&) = delete;
  Barrier* group(int i) { return reinterpret_cast<Barrier*>(storage[i]); }
  Barrier team;

 private:
  const int row_groups;
  alignas(Barrier) unsigned char storage[kMostRowGroups][sizeof(Barrier)];
};

// Runs one pass, ForwardRun or BackwardRun, on its team.  True: left early.
template <class Run>
FASTRNN_INLINE bool run_pass(const Run& run) {
  Barriers barriers(run.f.plan);
  Interrupt interrupt(run.f.interrupted);
  auto body = [&](int thread) noexcept { run.run(thread, barriers, interrupt); };
  run_team(run.f.plan.threads(), body);
  return interrupt.stopped();
}

// Rows of a weight matrix that feed the slots of blocks [b0, b1), in column order: calls f(column, matrix row, count).
template <class F>
FASTRNN_INLINE void for_runs(ptrdiff_t hidden, Slots slots, Range blocks, F f) {
  for (ptrdiff_t b = blocks.begin; b < blocks.end; ++b)
    for (int g = 0; g < slots.count; ++g)
      f(((b - blocks.begin) * slots.count + g) * kBlock, g * hidden + b * kBlock, min_of(kBlock, hidden - b * kBlock));
}

// Packs w [G*H, depth] transposed, for in + x w': panels of the columns of one group.
template <class T>
FASTRNN_INLINE void pack_transposed(T* to, const T* w, ptrdiff_t depth, ptrdiff_t hidden, Slots slots, Range blocks) {
  constexpr ptrdiff_t U = kLanes<T>;
  balanced({0, (blocks.end - blocks.begin) * slots.count * kBlock / U}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    transpose_rows<T>(to + v0 * U * depth, (v1 - v0) * U, (v1 - v0) * U, depth, false, [&](ptrdiff_t i) -> const T* {
      const ptrdiff_t column = v0 * U + i, run = column / kBlock;
      const ptrdiff_t unit = (blocks.begin + run / slots.count) * kBlock + column % kBlock;
      return unit < hidden ? w + (run % slots.count * hidden + unit) * depth : nullptr;
    });
  });
}

// Packs w [G*H, columns] for dG w: its rows become the depth, in column order; columns [c0, c1), zeros to a full
// vector.
template <class T>
FASTRNN_INLINE void pack_rows(T* to, const T* w, ptrdiff_t columns, ptrdiff_t hidden, Slots slots, ptrdiff_t blocks,
                              Range range) {
  constexpr ptrdiff_t U = kLanes<T>;
  const ptrdiff_t depth = blocks * slots.count * kBlock;
  balanced({0, ceil_div(range.end - range.begin, U)}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    T* panel = to + v0 * U * depth;
    for_runs(hidden, slots, {0, blocks}, [&](ptrdiff_t k, ptrdiff_t matrix_row, ptrdiff_t count) {
      for (ptrdiff_t i = 0; i < kBlock; ++i)
        for (ptrdiff_t v = v0; v < v1; ++v) {
          const ptrdiff_t column = range.begin + v * U, valid = min_of(U, columns - column);
          const T* source = w + (matrix_row + i) * columns + column;
          store(panel + (k + i) * (v1 - v0) * U + (v - v0) * U, i >= count || valid <= 0 ? Vec<T>{}
                                                                : valid < U              ? load_n(source, valid)
                                                                                         : load(source));
        }
    });
  });
}

// load and store of units that may lie past `hidden`.
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

}  // namespace fastrnn::FASTRNN_ISA
