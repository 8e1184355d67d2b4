// The memory of a backward pass, and what it forms by chunk: the gradients of x and of the weights.
#pragma once

#include "kernels/sequence.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ChunkGradients {
  const Backward<T>& f;
  const Shape& s;
  Geometry<Cell> geometry;
  ptrdiff_t input_depth, recurrent_depth;
  T *input_panels, *recurrent_panels, *carried, *by_token, *zeros;  // carried: [states][B, padded]
  T *packed_x[2], *packed_h[2];  // the rows of a chunk, for the weight gradients; two, as threads may be a chunk apart
  ptrdiff_t used;

  explicit ChunkGradients(const Backward<T>& args)
      : f(args),
        s(args.shape),
        geometry(s, sizeof(T)),
        input_depth(geometry.padded * Cell::kInput.count),
        recurrent_depth(geometry.padded * Cell::kRecurrent.count) {
    Scratch<T> scratch{args.scratch};
    input_panels = scratch.take(input_depth * round_to_block(s.inputs));
    recurrent_panels = scratch.take(recurrent_depth * geometry.padded);
    carried = scratch.take(Cell::kStates * s.rows * geometry.padded);
    by_token = scratch.take(s.vocabulary * geometry.row);
    zeros = scratch.take(zero_count());
    for (int i = 0; i < 2; ++i) {
      packed_x[i] = scratch.take(s.vocabulary != 0 ? 0 : f.plan.chunk * s.rows * round_to_block(s.inputs));
      packed_h[i] = scratch.take(f.plan.chunk * s.rows * geometry.padded);
    }
    used = scratch.used;
  }

  ptrdiff_t zero_count() const { return max_of(kGroupColumns, round_to_block(s.inputs)); }
  T* saved_at(ptrdiff_t t, ptrdiff_t b) const { return f.saved + (t * s.rows + b) * geometry.row; }
  const T* stash_at(int i, ptrdiff_t t, ptrdiff_t b) const {
    return f.stash + (((i - 1) * (s.steps + 1) + t) * s.rows + b) * geometry.padded;
  }
  T* carried_at(int i, ptrdiff_t b) const { return carried + (i * s.rows + b) * geometry.padded; }
  Rows<const T> gradients(ptrdiff_t t, ptrdiff_t b, Slots slots) const {
    return {saved_at(t, b) + slots.first * kBlock, s.rows * geometry.row, geometry.row};
  }

  // dx of steps [t0, t1): the rows are dealt to the whole team.
  void input_gradient(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    if (f.dx.p == nullptr) return;
    const bool by_row = s.rows >= t1 - t0;
    const Range steps = by_row ? Range{t0, t1} : shifted(part(t1 - t0, f.plan.threads(), thread), t0);
    const Range rows = by_row ? part(s.rows, f.plan.threads(), thread) : Range{0, s.rows};
    product<T>({steps.end - steps.begin,
                rows.end - rows.begin,
                input_depth,
                s.inputs,
                gradients(steps.begin, rows.begin, Cell::kInput),
                {zeros, 0, 0},
                {f.dx.p + steps.begin * f.dx.outer + rows.begin * f.dx.inner, f.dx.outer, f.dx.inner},
                input_panels,
                0});
  }
  static Range shifted(Range r, ptrdiff_t by) { return {r.begin + by, r.end + by}; }

  // Weight gradients of steps [t0, t1): t descends, rows ascend.  The runs of kBlock matrix rows are dealt to the team.
  void weight_gradients(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    // One run of matrix rows of W or of R: their bias, then their columns.
    const auto add = [&](T* bias, T* weight, const T* const(&packed)[2], ptrdiff_t columns, ptrdiff_t column,
                         ptrdiff_t matrix_row, ptrdiff_t count) {
      const Rows<const T> dg = descending(gradients(t1 - 1, 0, {0, 0}), column);
      if (bias != nullptr) add_rows(bias + matrix_row, dg, t1 - t0, s.rows, count);
      if (weight != nullptr)
        outer_product<T>({t1 - t0,
                          s.rows,
                          dg,
                          {packed[chunk_of(t1) % 2], 0, 0},
                          weight + matrix_row * columns,
                          columns,
                          count,
                          columns});
    };
    for_own_runs(Cell::kInput, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
      T* weight = f.tokens == nullptr ? f.grads.input : nullptr;  // of tokens: see token_gradients
      add(f.grads.input_bias, weight, {packed_x[0], packed_x[1]}, s.inputs, column, matrix_row, count);
      if (f.tokens != nullptr) sum_by_token(t0, t1, column);
    });
    for_own_runs(Cell::kRecurrent, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
      add(f.grads.recurrent_bias, f.grads.recurrent, {packed_h[0], packed_h[1]}, s.hidden, column, matrix_row, count);
    });
  }

  ptrdiff_t chunk_of(ptrdiff_t t1) const { return (s.steps - t1) / f.plan.chunk; }

  // x and h(t-1) of steps [t0, t1) in the order of the weight gradients; the panels are dealt to the team.
  void pack_chunk(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    const ptrdiff_t buffer = chunk_of(t1) % 2, total = (t1 - t0) * s.rows;
    if (f.tokens == nullptr)
      pack_grid<T>(packed_x[buffer], total, 0, {f.x.p + (t1 - 1) * f.x.outer, -f.x.outer, f.x.inner}, t1 - t0, s.rows,
                   s.inputs, part(panel_count<T>(s.inputs), f.plan.threads(), thread));
    const Range panels = part(panel_count<T>(s.hidden), f.plan.threads(), thread);
    const ptrdiff_t from_y = t1 - max_of(t0, 1);  // steps whose h(t-1) is in y
    pack_grid<T>(packed_h[buffer], total, 0, {f.y.p + (t1 - 2) * f.y.outer, -f.y.outer, f.y.inner}, from_y, s.rows,
                 s.hidden, panels);
    if (t0 == 0)
      pack_grid<T>(packed_h[buffer], total, from_y * s.rows, {f.initial[0], 0, f.initial_stride[0]}, 1, s.rows,
                   s.hidden, panels);
  }

  static Rows<const T> descending(Rows<const T> rows, ptrdiff_t column) {
    return {rows.p + column, -rows.outer, rows.inner};
  }

  template <class F>
  void for_own_runs(Slots slots, int thread, F visit) const {
    const Range own = part(geometry.blocks * slots.count, f.plan.threads(), thread);
    for (ptrdiff_t run = own.begin; run < own.end; ++run) {
      const ptrdiff_t block = run / slots.count, slot = run % slots.count;
      visit((block * Cell::kSlots + slots.first + slot) * kBlock, slot * s.hidden + block * kBlock,
            min_of(kBlock, s.hidden - block * kBlock));
    }
  }

  // to[0 .. count) += every row of a grid, in its order.
  static void add_rows(T* to, Rows<const T> rows, ptrdiff_t outer, ptrdiff_t inner, ptrdiff_t count) {
    Vec<T> sum[kBlock / kLanes<T>];
    for (int v = 0; v < kBlock / kLanes<T>; ++v) sum[v] = load_units(to + v * kLanes<T>, count - v * kLanes<T>);
    for (ptrdiff_t i = 0; i < outer; ++i)
      for (ptrdiff_t j = 0; j < inner; ++j)
        for (int v = 0; v < kBlock / kLanes<T>; ++v)
          sum[v] = sum[v] + load(rows.p + i * rows.outer + j * rows.inner + v * kLanes<T>);
    for (int v = 0; v < kBlock / kLanes<T>; ++v) store_units(to + v * kLanes<T>, sum[v], count - v * kLanes<T>);
  }

  // A token's gradients are added up before the one small product that they all share.
  void sum_by_token(ptrdiff_t t0, ptrdiff_t t1, ptrdiff_t column) const {
    for (ptrdiff_t t = t1; t-- > t0;)
      for (ptrdiff_t b = 0; b < s.rows; ++b) {
        T* to = by_token + f.tokens[t * s.rows + b] * geometry.row + column;
        const T* from = saved_at(t, b) + column;
        for (ptrdiff_t i = 0; i < kBlock; i += kLanes<T>) store(to + i, load(to + i) + load(from + i));
      }
  }

  void zero_by_token(int thread) const {
    for_own_runs(Cell::kInput, thread, [&](ptrdiff_t column, ptrdiff_t, ptrdiff_t) {
      for (ptrdiff_t v = 0; v < s.vocabulary; ++v)
        for (ptrdiff_t i = 0; i < kBlock; i += kLanes<T>) store(by_token + v * geometry.row + column + i, Vec<T>{});
    });
  }

  void token_gradients(int thread) const {
    if (f.grads.input != nullptr)
      for_own_runs(Cell::kInput, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
        outer_product<T>({1,
                          s.vocabulary,
                          {by_token + column, 0, geometry.row},
                          {f.table, 0, s.inputs},
                          f.grads.input + matrix_row * s.inputs,
                          s.inputs,
                          count,
                          s.inputs});
      });
    if (f.dtable == nullptr) return;
    const Range rows = part(s.vocabulary, f.plan.threads(), thread);
    T* to = f.dtable + rows.begin * s.inputs;
    product<T>({1,
                rows.end - rows.begin,
                input_depth,
                s.inputs,
                {by_token + rows.begin * geometry.row + Cell::kInput.first * kBlock, 0, geometry.row},
                {to, 0, s.inputs},
                {to, 0, s.inputs},
                input_panels,
                0});
  }
};

}  // namespace fastrnn::FASTRNN_ISA
