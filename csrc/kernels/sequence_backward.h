// The time loop backward: step by step dh = dG R and pointwise; by chunk sequence_gradients.h.
//
// The thread that forms dh for its units runs the pointwise of the same units, so a step needs one barrier.
#pragma once

#include "kernels/sequence_gradients.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct BackwardRun : ChunkGradients<Cell, T> {
  using Base = ChunkGradients<Cell, T>;
  using Base::Base, Base::f, Base::s, Base::geometry, Base::input_depth, Base::recurrent_depth;
  using Base::input_panels, Base::recurrent_panels, Base::carried_at, Base::saved_at, Base::stash_at, Base::zeros;
  using Base::zero_count, Base::gradients;
  static constexpr ptrdiff_t kDhBlocks = kGroupColumns / kBlock;  // dh has one column for each unit

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
    if (f.tokens != nullptr) this->zero_by_token(thread);
    start(share);
  }

  void run(int thread, Barriers& barriers, Interrupt& interrupt) const {
    const Share share = share_of(f.plan, thread, s.rows, geometry.blocks);
    prepare(share, thread);
    barriers.team.wait();
    for (ptrdiff_t t1 = s.steps; t1 > 0; t1 -= f.plan.chunk) {
      const ptrdiff_t t0 = max_of(0, t1 - f.plan.chunk);
      bool stop = false;
      this->pack_chunk(t0, t1, thread);
      for (ptrdiff_t t = t1; t-- > t0 && !stop;) {
        stop = interrupt.check(thread);
        for_tiles(share, [&](Range rows, Range blocks) { step(t, rows, blocks); });
        if (f.plan.unit_groups > 1) stop = barriers.group(thread / f.plan.unit_groups)->wait(stop);
      }
      if (barriers.team.wait(stop)) return;
      this->input_gradient(t0, t1, thread);
      this->weight_gradients(t0, t1, thread);
    }
    if (f.tokens != nullptr) {
      barriers.team.wait();
      this->token_gradients(thread);
    }
    for_tiles(share, [&](Range rows, Range blocks) { finish(rows, blocks); });
  }
};

template <class Cell, class T>
bool run_backward(const Backward<T>& f) noexcept {
  return run_pass(BackwardRun<Cell, T>(f));
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
