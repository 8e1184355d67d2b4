// The time loop forward: project a chunk of inputs, then step by step product and pointwise.
#pragma once

#include "kernels/sequence.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ForwardRun {
  const Forward<T>& f;
  const Shape& s;
  Geometry<Cell> geometry;
  T *input_panels, *recurrent_panels, *bias, *projected;  // projected: [vocabulary, row], the table times W
  ptrdiff_t used;

  explicit ForwardRun(const Forward<T>& args) : f(args), s(args.shape), geometry(s, sizeof(T)) {
    Scratch<T> scratch{args.scratch};
    input_panels = scratch.take(s.inputs * geometry.padded * Cell::kInput.count);
    recurrent_panels = scratch.take(s.hidden * geometry.padded * Cell::kRecurrent.count);
    bias = scratch.take(geometry.padded * Cell::kSlots);
    projected = scratch.take(s.vocabulary * geometry.row);
    used = scratch.used;
  }

  // Everything of a group of blocks that does not depend on the step.
  void prepare(Range blocks) const {
    pack_transposed(input_panels + panel_offset(s.inputs, Cell::kInput, blocks), f.weights.input, s.inputs, s.hidden,
                    Cell::kInput, blocks);
    pack_transposed(recurrent_panels + panel_offset(s.hidden, Cell::kRecurrent, blocks), f.weights.recurrent, s.hidden,
                    s.hidden, Cell::kRecurrent, blocks);
    T* to = bias + column(blocks);
    for (ptrdiff_t i = 0; i < (blocks.end - blocks.begin) * kBlock * Cell::kSlots; ++i) to[i] = T(0);
    add_bias(to, f.weights.input_bias, Cell::kInput, blocks);
    add_bias(to, f.weights.recurrent_bias, Cell::kRecurrent, blocks);
    if (f.tokens != nullptr) project({projected, 0, geometry.row}, {f.table, 0, s.inputs}, 1, s.vocabulary, blocks);
  }

  static ptrdiff_t column(Range blocks) { return blocks.begin * kBlock * Cell::kSlots; }
  static ptrdiff_t panel_offset(ptrdiff_t depth, Slots slots, Range blocks) {
    return depth * blocks.begin * kBlock * slots.count;
  }

  void add_bias(T* to, const T* from, Slots slots, Range blocks) const {
    if (from == nullptr) return;
    for_runs(s.hidden, slots, blocks, [&](ptrdiff_t at, ptrdiff_t matrix_row, ptrdiff_t count) {
      const ptrdiff_t block = at / (kBlock * slots.count), slot = slots.first + at / kBlock % slots.count;
      for (ptrdiff_t i = 0; i < count; ++i) to[(block * Cell::kSlots + slot) * kBlock + i] += from[matrix_row + i];
    });
  }

  // out = bias + x W' for a grid of rows.
  void project(Rows<T> out, Rows<const T> x, ptrdiff_t outer, ptrdiff_t inner, Range blocks) const {
    const ptrdiff_t first = column(blocks) + Cell::kInput.first * kBlock;
    product<T>({outer,
                inner,
                s.inputs,
                (blocks.end - blocks.begin) * kBlock * Cell::kInput.count,
                x,
                {bias + first, 0, 0},
                {out.p + first, out.outer, out.inner},
                input_panels + panel_offset(s.inputs, Cell::kInput, blocks),
                0});
  }

  T* saved_at(ptrdiff_t t, ptrdiff_t b) const {
    return f.saved + ((f.keep ? t : t % f.plan.chunk) * s.rows + b) * geometry.row;
  }
  // State i >= 1 before step t; t = steps: the last one.
  T* stash_at(int i, ptrdiff_t t, ptrdiff_t b) const {
    const ptrdiff_t slots = f.keep ? s.steps + 1 : 1;
    return f.stash + (((i - 1) * slots + (f.keep ? t : 0)) * s.rows + b) * geometry.padded;
  }
  Rows<const T> hidden_before(ptrdiff_t t, ptrdiff_t b) const {
    if (t == 0) return {f.initial[0] + b * f.initial_stride[0], 0, f.initial_stride[0]};
    return {f.y.p + (t - 1) * f.y.outer + b * f.y.inner, 0, f.y.inner};
  }

  void input_of_tokens(ptrdiff_t t, Range rows, Range blocks) const {
    const ptrdiff_t columns = (blocks.end - blocks.begin) * kBlock * Cell::kSlots;
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b) {
      const T* from = projected + f.tokens[t * s.rows + b] * geometry.row + column(blocks);
      T* to = saved_at(t, b) + column(blocks);
      for (ptrdiff_t i = 0; i < columns; i += kLanes<T>) store(to + i, load(from + i));
    }
  }

  void step(ptrdiff_t t, Range rows, Range blocks) const {
    if (f.tokens != nullptr) input_of_tokens(t, rows, blocks);
    T* out = saved_at(t, rows.begin) + column(blocks) + Cell::kRecurrent.first * kBlock;
    const Rows<T> grid{out, 0, geometry.row};
    product<T>({1,
                rows.end - rows.begin,
                s.hidden,
                (blocks.end - blocks.begin) * kBlock * Cell::kRecurrent.count,
                hidden_before(t, rows.begin),
                {out, 0, geometry.row},
                grid,
                recurrent_panels + panel_offset(s.hidden, Cell::kRecurrent, blocks),
                0});
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b)
      for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block) pointwise(t, b, block);
  }

  void pointwise(ptrdiff_t t, ptrdiff_t b, ptrdiff_t block) const {
    using V = Vec<T>;
    T* slots = saved_at(t, b) + block * kBlock * Cell::kSlots;
    const T* before = hidden_before(t, b).p;
    T* y = f.y.p + t * f.y.outer + b * f.y.inner;
#pragma GCC unroll 1
    for (ptrdiff_t i = 0; i < kBlock; i += kLanes<T>) {
      const ptrdiff_t unit = block * kBlock + i, valid = s.hidden - unit;
      V a[Cell::kSlots], state[Cell::kStates];
      for (int g = 0; g < Cell::kSlots; ++g) a[g] = load(slots + g * kBlock + i);
      if constexpr (Cell::kHiddenIsDirect) state[0] = load_units(before + unit, valid);
      for (int j = 1; j < Cell::kStates; ++j) state[j] = load(stash_at(j, t, b) + unit);
      Cell::forward(a, state);
      if (f.keep)
        for (int g = 0; g < Cell::kSlots; ++g) store(slots + g * kBlock + i, a[g]);
      for (int j = 1; j < Cell::kStates; ++j) store(stash_at(j, t + 1, b) + unit, state[j]);
      store_units(y + unit, state[0], valid);
    }
  }

  void start(const Share& share) const {
    for (int j = 1; j < Cell::kStates; ++j)
      for (ptrdiff_t b = share.rows.begin; b < share.rows.end; ++b)
        for (ptrdiff_t unit = share.blocks.begin * kBlock; unit < share.blocks.end * kBlock; unit += kLanes<T>)
          store(stash_at(j, 0, b) + unit, load_units(f.initial[j] + b * f.initial_stride[j] + unit, s.hidden - unit));
  }

  void finish(const Share& share) const {
    for (ptrdiff_t b = share.rows.begin; b < share.rows.end; ++b)
      for (ptrdiff_t unit = share.blocks.begin * kBlock; unit < share.blocks.end * kBlock; unit += kLanes<T>) {
        const ptrdiff_t valid = s.hidden - unit, at = b * s.hidden + unit;
        store_units(f.final[0] + at, load_units(hidden_before(s.steps, b).p + unit, valid), valid);
        for (int j = 1; j < Cell::kStates; ++j)
          store_units(f.final[j] + at, load(stash_at(j, s.steps, b) + unit), valid);
      }
  }

  void run(int thread, Barriers& barriers, Interrupt& interrupt) const {
    constexpr ptrdiff_t most = Geometry<Cell>::kBlocksPerGroup;
    const Share share = share_of(f.plan, thread, s.rows, geometry.blocks);
    const Range rows = share.rows;
    const auto for_groups = [&](auto g) {
      balanced(share.blocks, most, [&](ptrdiff_t b0, ptrdiff_t b1) { g(Range{b0, b1}); });
    };
    // The groups of one unit group are prepared by all row groups together.
    ptrdiff_t turn = 0;
    for_groups([&](Range blocks) {
      if (turn++ % f.plan.row_groups == thread / f.plan.unit_groups) prepare(blocks);
    });
    start(share);
    barriers.team.wait();
    bool stop = false;
    for (ptrdiff_t t0 = 0; t0 < s.steps && !stop; t0 += f.plan.chunk) {
      const ptrdiff_t t1 = min_of(s.steps, t0 + f.plan.chunk);
      if (f.tokens == nullptr)
        for_groups([&](Range blocks) {
          project({saved_at(t0, rows.begin), s.rows * geometry.row, geometry.row},
                  {f.x.p + t0 * f.x.outer + rows.begin * f.x.inner, f.x.outer, f.x.inner}, t1 - t0,
                  rows.end - rows.begin, blocks);
        });
      for (ptrdiff_t t = t0; t < t1 && !stop; ++t) {
        stop = interrupt.check(thread);
        for_groups([&](Range blocks) {
          balanced(rows, kRowBlock, [&](ptrdiff_t r0, ptrdiff_t r1) { step(t, {r0, r1}, blocks); });
        });
        if (f.plan.unit_groups > 1) stop = barriers.group(thread / f.plan.unit_groups)->wait(stop);
      }
    }
    if (!stop) finish(share);
  }
};

template <class Cell, class T>
bool run_forward(const Forward<T>& f) noexcept {
  return run_pass(ForwardRun<Cell, T>(f));
}

template <class Cell, class T>
Sizes forward_sizes(const Shape& s, const Plan& plan, bool keep) noexcept {
  Forward<T> f{};
  f.shape = s;
  f.plan = plan;
  const ForwardRun<Cell, T> run(f);
  const ptrdiff_t steps = keep ? s.steps : min_of(s.steps, plan.chunk);
  return {steps * s.rows * run.geometry.row, run.geometry.row,
          (Cell::kStates - 1) * (keep ? s.steps + 1 : 1) * s.rows * run.geometry.padded, run.used};
}

}  // namespace fastrnn::FASTRNN_ISA
