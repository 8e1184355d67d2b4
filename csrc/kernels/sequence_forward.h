// The time loop forward: project a chunk of inputs, then step by step products and pointwise.
#pragma once

#include "kernels/sequence_inputs.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ForwardRun : ForwardInputs<Cell, T> {
  using Base = ForwardInputs<Cell, T>;
  using Of = typename Base::Of;
  using Base::Base, Base::f, Base::s, Base::geometry, Base::states, Base::units, Base::made, Base::operands;
  using Base::saved_at, Base::state_at, Base::hidden_before;

  template <int kStage>
  void products(ptrdiff_t t, const BatchRows& rows, Range blocks) const {
    if (kStage == 0 && f.tokens != nullptr) this->input_of_tokens(t, rows, blocks);
    if constexpr (kStage == 0 && Cell::kSide >= 0)
      for_units<T>(rows, blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
        store(saved_at(t, b) + slot_of<Cell>(unit, Cell::kSide), side_units(s.at(f.side, t), b, unit, s.hidden - unit));
      });
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      if constexpr (feed.stage == kStage) {
        const ptrdiff_t first = this->column(blocks) + feed.slots.first * kBlock, row = this->geometry.row;
        const ptrdiff_t depth = this->geometry.width_of(feed);
        const Rows<T> out = rows.of(Rows<T>{this->saved_at(t, 0) + first, 0, row});
        const Rows<const T> in =
            Of::begins(feed) ? Rows<const T>{this->bias + first, 0, 0} : Rows<const T>{out.p, 0, out.inner};
        product<T>({1, rows.count(), this->operands.cells(depth),
                    (blocks.end - blocks.begin) * kBlock * feed.slots.count, rows.of(this->cells_read(k, t)), in, out,
                    this->feed_panels[k] + this->panel_offset(depth, feed.slots, blocks), 0, 1, 0,
                    this->operands.tiles()});
      }
    });
  }

  // The pointwise of a stage, and what else is read of the states that it makes.
  template <int kStage>
  void units_through(ptrdiff_t t, const BatchRows& rows, Range blocks) const {
    if (f.noise.zones())
      pointwise<kStage, true>(t, rows, blocks);
    else
      pointwise<kStage, false>(t, rows, blocks);
    if (Cell::kStates > 1 && kStage == Of::made_in(1) && f.cells.p != nullptr)
      for_units<T>(rows, blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
        const Rows<T> cells = s.at(f.cells, t);
        store_units(cells.p + b * cells.inner + unit, load(state_at(1, t + 1) + b * geometry.padded + unit),
                    s.hidden - unit);
      });
    if (kStage == Of::kLast && f.noise.drop.p != nullptr)
      drop_hidden(f.noise, s, t + 1, hidden_before(t + 1), rows, blocks);
    pair_made<kStage>(t, rows, blocks);
  }

  // As cells, what feeds will read of that, in later stages and in the next step.
  template <int kStage>
  void pair_made(ptrdiff_t t, const BatchRows& rows, Range blocks) const {
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      if constexpr (Of::wanted_in(feed) == kStage)
        pair_read(k, t + (feed.operand == Operand::kBefore ? 1 : 0), rows, blocks);
    });
  }
  FASTRNN_APART void pair_read(int k, ptrdiff_t t, const BatchRows& rows, Range blocks) const {
    if constexpr (std::is_same_v<T, float>) {
      if (!operands.paired()) return;
      const Feed& feed = Cell::kFeeds.at[k];
      const Rows<const T> from = this->numbers_read(feed, t);
      const ptrdiff_t first = blocks.begin * kBlock, row = this->paired_row(feed);
      const ptrdiff_t count = min_of(geometry.width_of(feed), blocks.end * kBlock) - first;
      T* to = this->paired[k] + t % 2 * s.rows * row + first / 2;
      for (ptrdiff_t b = rows.begin; b < rows.end; b += rows.step)
        pair_row(to + b * row, from.p + b * from.inner + first, count);
    }
  }

  // Whole rows through a stage and those behind it that have no product.
  template <int kStage>
  void rows_through(ptrdiff_t t, const BatchRows& rows) const {
    const RowNorms<Cell, T> norms{this->gain, this->bias, geometry.blocks, s.hidden, geometry.inverses};
    for (ptrdiff_t b = rows.begin; b < rows.end; b += rows.step)
      for_constants<Of::through(kStage) - kStage + 1>([&](auto k) {
        norms.template normalise<kStage + k>(saved_at(t, b));
        units_through<kStage + k>(t, {b, b + 1}, {0, geometry.blocks});
      });
  }

  // A stage of a step.
  template <int kStage, class ForGroups, class Meet>
  void stage(ptrdiff_t t, const Share& share, int unit_group, ForGroups for_groups, Meet meet) const {
    if constexpr (Of::kByRow && !Of::fed(kStage)) return;
    const BatchRows rows = share.rows.below(s.count(t));
    for_groups(share.of(Of::projects_in(kStage)), [&](Range blocks) {
      for_row_blocks(rows, [&](const BatchRows& some) {
        products<kStage>(t, some, blocks);
        if constexpr (!Of::kByRow) units_through<kStage>(t, some, blocks);
      });
    });
    if constexpr (Of::kByRow) {
      meet();
      rows_through<kStage>(t, rows.part_of(f.plan.unit_groups, unit_group));
    }
    meet();
  }

  template <int kStage, bool kZones>
  void pointwise(ptrdiff_t t, const BatchRows& rows, Range blocks) const {
    using V = Vec<T>;
    const Rows<const T> hidden = hidden_before(t);
    const Rows<T> ys = s.at(f.y, t);
    T *before[Cell::kStates], *after[Cell::kStates];
    for (int j = 1; j < Cell::kStates; ++j) before[j] = state_at(j, t), after[j] = state_at(j, t + 1);
    const ptrdiff_t count = rows.count();
    for (ptrdiff_t i = 0; i < count; ++i) {
      const ptrdiff_t b = rows.crossed(i, count);
      T *const row = saved_at(t, b), *const y = ys.p + b * ys.inner;
      for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block) {
        T* slots = row + block * kBlock * Cell::kSlots;
#pragma GCC unroll 1
        for (ptrdiff_t lane = 0; lane < kBlock; lane += kLanes<T>) {
          const ptrdiff_t unit = block * kBlock + lane, valid = geometry.units_in(kStage) - unit;
          const ptrdiff_t at = b * geometry.padded + unit;
          V a[Cell::kSlots], state[Cell::kStates], value[Of::kMade], p[Of::kUnits + 1];
          for (int g = 0; g < Cell::kSlots; ++g) a[g] = load(slots + g * kBlock + lane);
          if constexpr (Cell::kHiddenIsDirect || (kZones && kStage == Of::kLast))
            state[0] = load_units(hidden.p + b * hidden.inner + unit, valid);
          for (int j = 1; j < Cell::kStates; ++j) state[j] = load((Of::made_in(j) < kStage ? after : before)[j] + at);
          for (int k = 0; k < Of::kUnits; ++k) p[k] = load(units + k * geometry.padded + unit);
          ZoneOut<Cell, kStage, kZones, T> zone(f.noise, s, t, b, unit, valid);
          zone.keep(state);
          Cell::template forward<kStage>(a, state, value, p);
          zone.forward(state);
          if (f.keep != 0 || kStage < Of::kLast)
            for (int g = 0; g < Cell::kSlots; ++g)
              if (Of::has(Cell::gates_in(kStage), g)) store(slots + g * kBlock + lane, a[g]);
          for (int j = 1; j < Cell::kStates; ++j)
            if (Of::made_in(j) == kStage) store(after[j] + at, state[j]);
          if (Of::drops_made() && kStage < Of::kLast && f.noise.drop.p != nullptr)
            value[0] = value[0] * dropped_units(f.noise, b, unit, valid);
          if constexpr (kStage < Of::kLast)
            for (int j = 0; j < Cell::kMade; ++j) store(made + j * s.rows * geometry.padded + at, value[j]);
          else
            store_units(y + unit, state[0], valid);
        }
      }
    }
  }

  void start(const Share& share) const {
    if (f.noise.drop.p != nullptr) drop_hidden(f.noise, s, 0, hidden_before(0), share.rows, share.outputs);
    for (int j = 1; j < Cell::kStates; ++j)
      for_units<T>(share.rows, share.blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
        store(state_at(j, 0) + b * geometry.padded + unit,
              load_units(f.initial[j] + b * f.initial_stride[j] + unit, s.hidden - unit));
      });
    for (int k = 0; k < Of::kFeeds; ++k)
      if (Cell::kFeeds.at[k].operand == Operand::kBefore)
        pair_read(k, 0, share.rows, geometry.reads_hidden(Cell::kFeeds.at[k]) ? share.outputs : share.blocks);
  }

  void finish(const Share& share) const {
    for_units<T>(share.rows, share.outputs, [&](ptrdiff_t b, ptrdiff_t unit) {
      const Rows<const T> hidden = hidden_before(s.length(b));
      const ptrdiff_t valid = geometry.output - unit;
      store_units(f.final[0] + b * geometry.output + unit, load_units(hidden.p + b * hidden.inner + unit, valid),
                  valid);
    });
    for (int j = 1; j < Cell::kStates; ++j)
      for_units<T>(share.rows, share.blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
        store_units(f.final[j] + b * s.hidden + unit, load(state_at(j, s.length(b)) + b * geometry.padded + unit),
                    s.hidden - unit);
      });
  }

  FASTRNN_APART void pair_table(int thread) const {
    if constexpr (std::is_same_v<T, float>) {
      const Range own = part(s.vocabulary, f.plan.threads(), thread);
      pair_grid(this->paired_x + own.begin * this->x_row(), this->x_row(),
                {f.table + own.begin * s.inputs, 0, s.inputs}, 1, own.end - own.begin, s.inputs);
    }
  }

  void run(int thread, Barriers& barriers, Interrupt& interrupt) const {
    constexpr ptrdiff_t most = Geometry<Cell>::kBlocksPerGroup;
    const Share share = share_of(f.plan, thread, s, geometry);
    const int unit_group = thread % f.plan.unit_groups;
    const bool meets = f.plan.unit_groups > 1 && Of::kFeeds > 0;
    const auto for_groups = [&](Range blocks, auto g) {
      balanced(blocks, most, [&](ptrdiff_t b0, ptrdiff_t b1) { g(Range{b0, b1}); });
    };
    if (operands.paired() && f.tokens != nullptr && !f.prepared) {
      pair_table(thread);
      barriers.team.wait();
    }
    // The groups of one unit group are prepared by all row groups together, but for panels of their own.
    ptrdiff_t turn = 0;
    const auto my_turn = [&] { return turn++ % f.plan.row_groups == thread / f.plan.unit_groups; };
    if (!f.prepared) {
      for_groups(share.blocks, [&](Range blocks) {
        const bool mine = my_turn();
        if (mine || f.plan.own_panels) this->template pack_feeds<false>(blocks);
        if (mine || (f.plan.own_panels && f.tokens == nullptr)) this->pack_inputs(blocks);
        if (mine) this->prepare(blocks);
      });
      if constexpr (Cell::kProjects)
        for_groups(share.outputs, [&](Range blocks) {
          if (my_turn() || f.plan.own_panels) this->template pack_feeds<true>(blocks);
        });
    }
    start(share);
    barriers.team.wait();
    bool stop = false;
    for (ptrdiff_t t0 = 0; t0 < s.steps && !stop; t0 += f.plan.chunk) {
      const ptrdiff_t t1 = min_of(s.steps, t0 + f.plan.chunk);
      if (f.tokens == nullptr) {
        this->pair_chunk(t0, t1, share.rows, thread);
        for_groups(share.blocks, [&](Range blocks) { this->project_chunk(t0, t1, share.rows, blocks, thread); });
      }
      for (ptrdiff_t t = t0; t < t1 && !stop; ++t) {
        stop = interrupt.check(thread);
        const auto meet = [&] {
          if (meets) stop = barriers.group(thread / f.plan.unit_groups)->wait(stop);
        };
        for_constants<Cell::kStages>([&](auto k) { stage<k>(t, share, unit_group, for_groups, meet); });
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
Sizes forward_sizes(const Shape& s, const Plan& plan, ptrdiff_t keep) noexcept {
  Forward<T> f{};
  f.shape = s;
  f.plan = plan;
  f.keep = keep;
  const ForwardRun<Cell, T> run(f);
  const ptrdiff_t rows = keep != 0 ? s.between(0, s.steps) : min_of(s.steps, plan.chunk) * s.rows;
  return {rows * run.geometry.row, run.geometry.row, run.stash_used, run.panels_used, run.used};
}

}  // namespace fastrnn::FASTRNN_ISA
