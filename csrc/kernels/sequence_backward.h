// The time loop backward: step by step dh = dG R and pointwise, then by chunk the gradients of x and of the weights.
//
// The thread that forms dh for its units runs the pointwise of the same units, so a step needs one barrier.
#pragma once

#include "kernels/sequence.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct BackwardRun {
  static constexpr ptrdiff_t kDhBlocks = kGroupColumns / kBlock;  // dh has one column for each unit

  const Backward<T>& f;
  const Shape& s;
  Geometry<Cell> geometry;
  ptrdiff_t input_depth, recurrent_depth;
  T *input_panels, *recurrent_panels, *carried, *by_token, *zeros;  // carried: [states][B, padded]
  T *packed_x[2], *packed_h[2];  // the rows of a chunk, for the weight gradients; two, as threads may be a chunk apart
  ptrdiff_t used;

  explicit BackwardRun(const Backward<T>& args)
      : f(args),
        s(args.shape),
        geometry(s, sizeof(T)),
        input_depth(geometry.padded * Cell::kInput.count),
        recurrent_depth(geometry.padded * Cell::kRecurrent.count) {
    Carver<T> carver{args.scratch};
    input_panels = carver.take(input_depth * round_up(s.inputs));
    recurrent_panels = carver.take(recurrent_depth * geometry.padded);
    carried = carver.take(Cell::kStates * s.rows * geometry.padded);
    by_token = carver.take(s.vocabulary * geometry.row);
    zeros = carver.take(zero_count());
    for (int i = 0; i < 2; ++i) {
      packed_x[i] = carver.take(s.vocabulary != 0 ? 0 : f.plan.chunk * s.rows * round_up(s.inputs));
      packed_h[i] = carver.take(f.plan.chunk * s.rows * geometry.padded);
    }
    used = carver.used;
  }

  ptrdiff_t zero_count() const { return max_of(kGroupColumns, round_up(s.inputs)); }
  T* saved_at(ptrdiff_t t, ptrdiff_t b) const { return f.saved + (t * s.rows + b) * geometry.row; }
  const T* stash_at(int i, ptrdiff_t t, ptrdiff_t b) const {
    return f.stash + (((i - 1) * (s.steps + 1) + t) * s.rows + b) * geometry.padded;
  }
  T* carried_at(int i, ptrdiff_t b) const { return carried + (i * s.rows + b) * geometry.padded; }
  Rows<const T> gradients(ptrdiff_t t, ptrdiff_t b, Slots slots) const {
    return {saved_at(t, b) + slots.first * kBlock, s.rows * geometry.row, geometry.row};
  }

  // dh of rows x the units of some blocks: dG(t + 1) R, or what comes from behind the last step.
  struct Dh {
    alignas(64) T at[kRowBlock][kGroupColumns];
  };
  void hidden_gradient(ptrdiff_t t, Range rows, Range blocks, Dh& dh) const {
    const ptrdiff_t first = blocks.begin * kBlock, columns = (blocks.end - blocks.begin) * kBlock;
    if (t + 1 < s.steps) {
      product<T>({1,
                  rows.end - rows.begin,
                  recurrent_depth,
                  columns,
                  gradients(t + 1, rows.begin, Cell::kRecurrent),
                  {zeros, 0, 0},
                  {dh.at[0], 0, kGroupColumns},
                  recurrent_panels + recurrent_depth * first,
                  0});
      return;
    }
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b)
      for (ptrdiff_t i = 0; i < columns; i += kLanes<T>)
        store(dh.at[b - rows.begin] + i, final_gradient(0, b, first + i));
  }

  void step(ptrdiff_t t, Range rows, Range blocks) const {
    Dh dh;
    hidden_gradient(t, rows, blocks, dh);
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b)
      for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block)
        pointwise(t, b, block, dh.at[b - rows.begin] + (block - blocks.begin) * kBlock);
  }

  Vec<T> final_gradient(int state, ptrdiff_t b, ptrdiff_t unit) const {
    if (f.dfinal[state] == nullptr) return Vec<T>{};
    return load_units(f.dfinal[state] + b * s.hidden + unit, s.hidden - unit);
  }

  void pointwise(ptrdiff_t t, ptrdiff_t b, ptrdiff_t block, const T* dh) const {
    using V = Vec<T>;
    constexpr int kFirst = Cell::kHiddenIsDirect ? 0 : 1;
    T* slots = saved_at(t, b) + block * kBlock * Cell::kSlots;
    const T* before_h = t == 0 ? f.initial[0] + b * f.initial_stride[0] : f.y.p + (t - 1) * f.y.outer + b * f.y.inner;
#pragma GCC unroll 1
    for (ptrdiff_t i = 0; i < kBlock; i += kLanes<T>) {
      const ptrdiff_t unit = block * kBlock + i, valid = s.hidden - unit;
      V a[Cell::kSlots], before[Cell::kStates], after[Cell::kStates], d[Cell::kStates];
      for (int g = 0; g < Cell::kSlots; ++g) a[g] = load(slots + g * kBlock + i);
      if constexpr (Cell::kHiddenIsDirect) before[0] = load_units(before_h + unit, valid);
      for (int j = 1; j < Cell::kStates; ++j) {
        before[j] = load(stash_at(j, t, b) + unit);
        after[j] = load(stash_at(j, t + 1, b) + unit);
      }
      d[0] = load(dh + i);
      if (f.dy.p != nullptr) d[0] = d[0] + load_units(f.dy.p + t * f.dy.outer + b * f.dy.inner + unit, valid);
      if constexpr (Cell::kHiddenIsDirect) d[0] = d[0] + load(carried_at(0, b) + unit);
      for (int j = 1; j < Cell::kStates; ++j) d[j] = load(carried_at(j, b) + unit);
      Cell::backward(a, before, after, d);
      for (int g = 0; g < Cell::kSlots; ++g) store(slots + g * kBlock + i, a[g]);
      for (int j = kFirst; j < Cell::kStates; ++j) store(carried_at(j, b) + unit, d[j]);
    }
  }

  void start(const Share& share) const {
    for (int j = 0; j < Cell::kStates; ++j)
      for (ptrdiff_t b = share.rows.begin; b < share.rows.end; ++b)
        for (ptrdiff_t unit = share.blocks.begin * kBlock; unit < share.blocks.end * kBlock; unit += kLanes<T>)
          store(carried_at(j, b) + unit, j == 0 ? Vec<T>{} : final_gradient(j, b, unit));
  }

  // The gradients of the initial states.
  void finish(Range rows, Range blocks) const {
    Dh dh;
    hidden_gradient(-1, rows, blocks, dh);
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b)
      for (ptrdiff_t unit = blocks.begin * kBlock; unit < blocks.end * kBlock; unit += kLanes<T>) {
        const ptrdiff_t valid = s.hidden - unit, at = b * s.hidden + unit;
        Vec<T> d = load(dh.at[b - rows.begin] + unit - blocks.begin * kBlock);
        if constexpr (Cell::kHiddenIsDirect) d = d + load(carried_at(0, b) + unit);
        store_units(f.dinitial[0] + at, d, valid);
        for (int j = 1; j < Cell::kStates; ++j) store_units(f.dinitial[j] + at, load(carried_at(j, b) + unit), valid);
      }
  }

  template <class F>
  static void for_tiles(const Share& share, F visit) {
    balanced(share.blocks, kDhBlocks, [&](ptrdiff_t b0, ptrdiff_t b1) {
      balanced(share.rows, kRowBlock, [&](ptrdiff_t r0, ptrdiff_t r1) { visit(Range{r0, r1}, Range{b0, b1}); });
    });
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
    for_own_runs(Cell::kInput, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
      const Rows<const T> dg = descending(gradients(t1 - 1, 0, {0, 0}), column);
      if (f.grads.input_bias != nullptr) add_rows(f.grads.input_bias + matrix_row, dg, t1 - t0, s.rows, count);
      if (f.tokens != nullptr)
        sum_by_token(t0, t1, column);
      else if (f.grads.input != nullptr)
        outer_product<T>({t1 - t0,
                          s.rows,
                          dg,
                          {packed_x[chunk_of(t1) % 2], 0, 0},
                          f.grads.input + matrix_row * s.inputs,
                          s.inputs,
                          count,
                          s.inputs});
    });
    for_own_runs(Cell::kRecurrent, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
      const Rows<const T> dg = descending(gradients(t1 - 1, 0, {0, 0}), column);
      if (f.grads.recurrent_bias != nullptr) add_rows(f.grads.recurrent_bias + matrix_row, dg, t1 - t0, s.rows, count);
      if (f.grads.recurrent != nullptr)
        outer_product<T>({t1 - t0,
                          s.rows,
                          dg,
                          {packed_h[chunk_of(t1) % 2], 0, 0},
                          f.grads.recurrent + matrix_row * s.hidden,
                          s.hidden,
                          count,
                          s.hidden});
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

  // The groups of dh of one unit group, and the panels of W, are packed by all row groups together.
  void prepare(const Share& share, int thread) const {
    ptrdiff_t turn = 0;
    balanced(share.blocks, kDhBlocks, [&](ptrdiff_t b0, ptrdiff_t b1) {
      if (turn++ % f.plan.row_groups != thread / f.plan.unit_groups) return;
      pack_rows(recurrent_panels + recurrent_depth * b0 * kBlock, f.weights.recurrent, s.hidden, s.hidden,
                Cell::kRecurrent, geometry.blocks, {b0 * kBlock, b1 * kBlock});
    });
    if (thread == f.plan.threads() - 1) {
      for (ptrdiff_t i = 0; i < zero_count(); ++i) zeros[i] = T(0);
      if (f.dx.p != nullptr || f.dtable != nullptr)
        pack_rows(input_panels, f.weights.input, s.inputs, s.hidden, Cell::kInput, geometry.blocks, {0, s.inputs});
    }
    if (f.tokens != nullptr) zero_by_token(thread);
    start(share);
  }

  void run(int thread, Barriers& barriers, Interrupt& interrupt) const {
    const Share share = share_of(f.plan, thread, s.rows, geometry.blocks);
    prepare(share, thread);
    barriers.team.wait();
    for (ptrdiff_t t1 = s.steps; t1 > 0; t1 -= f.plan.chunk) {
      const ptrdiff_t t0 = max_of(0, t1 - f.plan.chunk);
      bool stop = false;
      pack_chunk(t0, t1, thread);
      for (ptrdiff_t t = t1; t-- > t0 && !stop;) {
        stop = interrupt.check(thread);
        for_tiles(share, [&](Range rows, Range blocks) { step(t, rows, blocks); });
        if (f.plan.unit_groups > 1) stop = barriers.group(thread / f.plan.unit_groups)->wait(stop);
      }
      if (barriers.team.wait(stop)) return;
      input_gradient(t0, t1, thread);
      weight_gradients(t0, t1, thread);
    }
    if (f.tokens != nullptr) {
      barriers.team.wait();
      token_gradients(thread);
    }
    for_tiles(share, [&](Range rows, Range blocks) { finish(rows, blocks); });
  }
};

template <class Cell, class T>
bool run_backward(const Backward<T>& f) noexcept {
  const BackwardRun<Cell, T> run(f);
  Barriers barriers(f.plan);
  Interrupt interrupt(f.interrupted);
  auto body = [&](int thread) noexcept { run.run(thread, barriers, interrupt); };
  run_team(f.plan.threads(), body);
  return interrupt.stopped();
}

template <class Cell, class T>
Sizes backward_sizes(const Shape& s, const Plan& plan) noexcept {
  Backward<T> f{};
  f.shape = s;
  f.plan = plan;
  const BackwardRun<Cell, T> run(f);
  return {0, run.geometry.row, 0, run.used};
}

}  // namespace fastrnn::FASTRNN_ISA
