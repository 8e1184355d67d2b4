// The memory of a backward pass, and what it forms by chunk: the gradients of x and of the weights.
#pragma once

#include "kernels/sequence.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ChunkGradients {
  using Of = Traits<Cell>;
  // Values that are formed again by chunk: the states but h, and what the cell makes for its products.
  static constexpr int kAgain = Cell::kStates - 1 + Cell::kMade;
  static constexpr bool kReadsHidden = Of::feeds_from(Operand::kBefore, 0);

  const Backward<T>& f;
  const Shape& s;
  Geometry<Cell> geometry;
  StateSteps states;
  T *input_panels, *feed_panels[Of::kFeeds + 1], *units, *carried, *by_token, *zeros;  // carried: [states][B, padded]
  // Of a chunk; two of each, as threads may be a chunk apart: the rows of x and of h(t-1), packed for the weight
  // gradients, and [kAgain][chunk + 1][B, padded].
  T *packed_x[2], *packed_h[2], *again[2];
  ptrdiff_t panels_used, used;

  explicit ChunkGradients(const Backward<T>& args)
      : f(args), s(args.shape), geometry(s, sizeof(T)), states(state_steps<Cell>(s.steps, args.plan.chunk)) {
    Scratch<T> scratch{args.scratch}, panels{args.panels};
    input_panels = panels.take(depth_of(Cell::kInput) * round_to_block(s.inputs));
    for (int i = 0; i < Of::kFeeds; ++i)
      feed_panels[i] = panels.take(depth_of(Cell::kFeeds.at[i].slots) * geometry.padded);
    units = scratch.take(geometry.padded * Of::kUnits);
    carried = scratch.take(Cell::kStates * s.rows * geometry.padded);
    by_token = scratch.take(s.vocabulary * geometry.row);
    zeros = scratch.take(zero_count());
    const ptrdiff_t rows = f.plan.chunk * s.rows;
    for (int i = 0; i < 2; ++i) {
      packed_x[i] = scratch.take(s.vocabulary != 0 ? 0 : rows * round_to_block(s.inputs));
      packed_h[i] = scratch.take(kReadsHidden ? rows * geometry.padded : 0);
      again[i] = scratch.take(kAgain * (rows + s.rows) * geometry.padded);
    }
    panels_used = panels.used;
    used = scratch.used;
  }
  ptrdiff_t depth_of(Slots slots) const { return geometry.padded * slots.count; }

  ptrdiff_t zero_count() const { return max_of(kGroupColumns, round_to_block(s.inputs)); }
  T* saved_at(ptrdiff_t t, ptrdiff_t b) const { return f.saved + (t * s.rows + b) * geometry.row; }
  // Row 0 of state i >= 1 before step t of the chunk that ends with t1, or (i >= kStates) of what step t has made.
  T* again_at(int i, ptrdiff_t t, ptrdiff_t t1) const {
    const ptrdiff_t t0 = max_of(0, t1 - f.plan.chunk);
    return again[chunk_of(t1) % 2] + ((i - 1) * (f.plan.chunk + 1) + t - t0) * s.rows * geometry.padded;
  }
  const T* kept_at(int i, ptrdiff_t t) const {
    return f.stash + ((i - 1) * states.kept() + states.place(t)) * s.rows * geometry.padded;
  }
  Rows<const T> hidden_before(ptrdiff_t t) const {
    if (t == 0) return {f.initial[0], 0, f.initial_stride[0]};
    return {f.y.p + (t - 1) * f.y.outer, 0, f.y.inner};
  }
  T* carried_at(int i, ptrdiff_t b) const { return carried + (i * s.rows + b) * geometry.padded; }
  Rows<const T> gradients(ptrdiff_t t, ptrdiff_t b, Slots slots) const {
    return {saved_at(t, b) + slots.first * kBlock, s.rows * geometry.row, geometry.row};
  }

  // out = in + dG w for rows of dG and panels of some columns of w.
  void through(Slots slots, ptrdiff_t outer, ptrdiff_t inner, Rows<const T> dg, Rows<const T> in, Rows<T> out,
               ptrdiff_t columns, const T* panels) const {
    const bool whole = slots.count == Cell::kSlots;  // the slots of all blocks lie together
    product<T>({outer, inner, whole ? depth_of(slots) : slots.count * kBlock, columns, dg, in, out, panels, 0,
                whole ? 1 : geometry.blocks, Cell::kSlots * kBlock});
  }

  // dx of steps [t0, t1): the rows are dealt to the whole team.
  void input_gradient(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    if (f.dx.p == nullptr) return;
    const bool by_row = s.rows >= t1 - t0;
    const Range steps = by_row ? Range{t0, t1} : shifted(part(t1 - t0, f.plan.threads(), thread), t0);
    const Range rows = by_row ? part(s.rows, f.plan.threads(), thread) : Range{0, s.rows};
    const Rows<T> dx = moved(f.dx, steps.begin, rows.begin);
    through(
        Cell::kInput, steps.end - steps.begin, rows.end - rows.begin, gradients(steps.begin, rows.begin, Cell::kInput),
        f.add_dx ? Rows<const T>{dx.p, dx.outer, dx.inner} : Rows<const T>{zeros, 0, 0}, dx, s.inputs, input_panels);
  }
  static Range shifted(Range r, ptrdiff_t by) { return {r.begin + by, r.end + by}; }

  // Weight gradients of steps [t0, t1): t descends, rows ascend.  The runs of kBlock matrix rows are dealt to the team.
  void weight_gradients(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    // One run of matrix rows: their bias, then their columns.
    const auto add = [&](T* bias, T* weight, Rows<const T> operand, ptrdiff_t columns, ptrdiff_t column,
                         ptrdiff_t matrix_row, ptrdiff_t count) {
      const Rows<const T> dg = descending(t1, column);
      if (bias != nullptr) add_rows(bias + matrix_row, dg, t1 - t0, s.rows, count);
      if (weight != nullptr)
        outer_product<T>({t1 - t0, s.rows, dg, operand, weight + matrix_row * columns, columns, count, columns});
    };
    const ptrdiff_t buffer = chunk_of(t1) % 2;
    for_own_runs(Cell::kInput, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
      T* weight = f.tokens == nullptr ? f.grads.input : nullptr;  // of tokens: see token_gradients
      add(f.grads.input_bias, weight, {packed_x[buffer], 0, 0}, s.inputs, column, matrix_row, count);
      if (f.tokens != nullptr) sum_by_token(t0, t1, column);
    });
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      Rows<const T> operand{packed_h[buffer], 0, 0};
      if constexpr (feed.operand == Operand::kMade || feed.index > 0) {
        constexpr int i = feed.operand == Operand::kMade ? Cell::kStates + feed.index : feed.index;
        const ptrdiff_t step = s.rows * geometry.padded;
        operand = {again_at(i, t1 - (feed.operand == Operand::kAfter ? 0 : 1), t1), -step, geometry.padded};
      }
      for_own_runs(feed.slots, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
        add(feed.matrix == 0 ? f.grads.recurrent_bias : nullptr, f.grads.recurrent[feed.matrix], operand, s.hidden,
            column, matrix_row, count);
      });
    });
    if (Of::kUnits > 0 && f.grads.units != nullptr) unit_gradients(t0, t1, thread);
  }

  // One chain for each unit: the gradient of a slot times a state.
  void unit_gradients(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    const Range own = part(geometry.blocks, f.plan.threads(), thread);
    for_constants<Of::kUnits>([&](auto k) {
      constexpr Reduction of = Cell::kUnits.at[k];
      const ptrdiff_t last = t1 - (of.operand == Operand::kBefore ? 1 : 0), step = s.rows * geometry.padded;
      for (ptrdiff_t block = own.begin; block < own.end; ++block)
        for (ptrdiff_t unit = block * kBlock; unit < (block + 1) * kBlock; unit += kLanes<T>) {
          const Rows<const T> dg = descending(t1, (block * Cell::kSlots + of.slot) * kBlock + unit % kBlock);
          const T* state = again_at(of.state, last, t1) + unit;
          T* to = f.grads.units + k * s.hidden + unit;
          Vec<T> sum = load_units(to, s.hidden - unit);
          for (ptrdiff_t i = 0; i < t1 - t0; ++i)
            for (ptrdiff_t b = 0; b < s.rows; ++b)
              sum = fma(load(dg.p + i * dg.outer + b * dg.inner), load(state - i * step + b * geometry.padded), sum);
          store_units(to, sum, s.hidden - unit);
        }
    });
  }

  ptrdiff_t chunk_of(ptrdiff_t t1) const { return (s.steps - t1) / f.plan.chunk; }

  // x and h(t-1) of steps [t0, t1) in the order of the weight gradients; the panels are dealt to the team.
  void pack_chunk(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    const ptrdiff_t buffer = chunk_of(t1) % 2, total = (t1 - t0) * s.rows;
    if (f.tokens == nullptr)
      pack_grid<T>(packed_x[buffer], total, 0, {f.x.p + (t1 - 1) * f.x.outer, -f.x.outer, f.x.inner}, t1 - t0, s.rows,
                   s.inputs, part(panel_count<T>(s.inputs), f.plan.threads(), thread));
    if constexpr (!kReadsHidden) return;
    const Range panels = part(panel_count<T>(s.hidden), f.plan.threads(), thread);
    const ptrdiff_t from_y = t1 - max_of(t0, 1);  // steps whose h(t-1) is in y
    pack_grid<T>(packed_h[buffer], total, 0, {f.y.p + (t1 - 2) * f.y.outer, -f.y.outer, f.y.inner}, from_y, s.rows,
                 s.hidden, panels);
    if (t0 == 0)
      pack_grid<T>(packed_h[buffer], total, from_y * s.rows, {f.initial[0], 0, f.initial_stride[0]}, 1, s.rows,
                   s.hidden, panels);
  }

  // A column of dG from step t1 - 1 on, backwards.
  Rows<const T> descending(ptrdiff_t t1, ptrdiff_t column) const {
    return {saved_at(t1 - 1, 0) + column, -s.rows * geometry.row, geometry.row};
  }

  template <class F>
  void for_own_runs(Slots slots, int thread, F visit) const {
    const Range own = part(geometry.blocks * slots.count, f.plan.threads(), thread);
    for (ptrdiff_t run = own.begin; run < own.end; ++run) {
      const ptrdiff_t block = run / slots.count, slot = run % slots.count;
      visit((block * Cell::kSlots + slots.first + slot) * kBlock,
            slots.gate_of(static_cast<int>(slot)) * s.hidden + block * kBlock,
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
    through(Cell::kInput, 1, rows.end - rows.begin,
            {by_token + rows.begin * geometry.row + Cell::kInput.first * kBlock, 0, geometry.row}, {to, 0, s.inputs},
            {to, 0, s.inputs}, s.inputs, input_panels);
  }
};

}  // namespace fastrnn::FASTRNN_ISA
