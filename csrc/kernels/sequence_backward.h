// The time loop backward: step by step the gradients by operands and pointwise; by chunk sequence_gradients.h.
//
// The thread that forms the gradient by an operand for its units runs the pointwise of the same units next, so a step
// needs one barrier for each stage.
#pragma once

#include "kernels/sequence_gradients.h"
#include "kernels/wanted.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct BackwardRun : ChunkGradients<Cell, T> {
  using Base = ChunkGradients<Cell, T>;
  using Of = typename Base::Of;
  using Base::Base, Base::f, Base::s, Base::geometry, Base::input_panels, Base::units, Base::zeros, Base::zero_count;
  using Base::operands, Base::pair_gradients, Base::carried_at, Base::saved_at, Base::again_at, Base::kept_at,
      Base::hidden_before, Base::kAgain;
  static constexpr ptrdiff_t kColumnBlocks = kGroupColumns / kBlock;  // an operand has one column for each unit
  using Wanted = WantedGradients<T>;
  using Local = LocalGradients<T, Cell::kStates>;  // a stage may want those of all states at once, or of one value
  Wanted of_step() const { return {this->by_operand, s.rows * geometry.padded, 0, 0, geometry.padded}; }

  // Which of Wanted a feed is for: its state, or 0 for a made value (then h is not wanted in the same stage).
  static constexpr int place_of(const Feed& feed) { return feed.operand == Operand::kMade ? 0 : feed.index; }
  static constexpr bool wants(int stage, int place) {
    for (int i = 0; i < Of::kFeeds; ++i)
      if (Of::wanted_in(Cell::kFeeds.at[i]) == stage && place_of(Cell::kFeeds.at[i]) == place) return true;
    return false;
  }

  // dG R for all that a stage of step t wants: from step t + 1, or from a later stage of the same step.
  template <int kStage>
  void gradients_by_operands(ptrdiff_t t, const BatchRows& rows, Range blocks, const Wanted& wanted) const {
    const ptrdiff_t first = blocks.begin * kBlock, columns = (blocks.end - blocks.begin) * kBlock;
    BatchRows live = rows;  // the others have their last step: what they get comes from behind it
    if constexpr (kStage == Of::kLast) {
      live = rows.below(s.count(t + 1));
      const BatchRows ending = rows.counted(live.count(), rows.count());
      for (int j = 0; j < Cell::kStates; ++j)
        for (ptrdiff_t b = ending.begin; b < ending.end; b += ending.step)
          for (ptrdiff_t i = 0; i < columns; i += kLanes<T>)
            store(wanted.at(j, b, first + i), j == 0 ? final_gradient(0, b, first + i) : Vec<T>{});
      if (live.count() == 0) return;
    }
    bool begun[Cell::kStates] = {};
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      if constexpr (Of::wanted_in(feed) == kStage) {
        constexpr int place = place_of(feed);
        const Rows<T> out{wanted.at(place, rows.begin, first), 0, wanted.stride * rows.step};
        const Rows<const T> in = begun[place] ? Rows<const T>{out.p, 0, out.inner} : Rows<const T>{this->zeros, 0, 0};
        begun[place] = true;
        const ptrdiff_t from = this->geometry.blocks_in(feed.stage);
        this->through(feed.slots, from, 1, live.count(),
                      live.of(this->gradients(t + (feed.operand == Operand::kBefore ? 1 : 0), 0, feed.slots)), in, out,
                      columns, this->feed_panels[k] + this->operands.cells(from * kBlock * feed.slots.count) * first);
      }
    });
    constexpr bool dropped = kStage == Of::kLast ? Base::kReadsHidden : Of::drops_made();
    if (dropped && f.noise.drop.p != nullptr)
      drop_gradients(f.noise, s, live, blocks, wanted.at(0, rows.begin, first), wanted.stride);
  }

  // The pointwise of a stage, with what else its states have given and the side sequence is given.
  template <int kStage>
  void units_through(ptrdiff_t t, ptrdiff_t t1, const BatchRows& rows, Range blocks, const Wanted& wanted) const {
    if (Cell::kStates > 1 && kStage == Of::made_in(1) && f.dcells.p != nullptr)
      for_units<T>(rows, blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
        const Rows<const T> dcells = s.at(f.dcells, t);
        T* at = carried_at(1, b) + unit;
        store(at, load(at) + load_units(dcells.p + b * dcells.inner + unit, s.hidden - unit));
      });
    if (f.noise.zones())
      pointwise<kStage, true>(t, t1, rows, blocks, wanted);
    else
      pointwise<kStage, false>(t, t1, rows, blocks, wanted);
    if (kStage == 0 && Cell::kSide >= 0 && f.dside.p != nullptr)
      for_units<T>(rows, blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
        const Rows<T> dside = s.at(f.dside, t);
        store_units(dside.p + b * dside.inner + unit, load(saved_at(t, b) + slot_of<Cell>(unit, Cell::kSide)),
                    s.hidden - unit);
      });
    if constexpr (!Of::kByRow) pair_gradients(t, rows, blocks, Cell::gradients_in(kStage));
  }

  // Whole rows through a stage and those behind it that want no product.
  template <int kStage>
  void rows_through(ptrdiff_t t, ptrdiff_t t1, const BatchRows& rows) const {
    const RowNorms<Cell, T> norms{this->gain, nullptr, geometry.blocks, s.hidden, geometry.inverses};
    for (ptrdiff_t b = rows.begin; b < rows.end; b += rows.step)
      for_constants<kStage - Of::back_through(kStage) + 1>([&](auto k) {
        units_through<kStage - k>(t, t1, {b, b + 1}, {0, geometry.blocks}, of_step());
        norms.template back<kStage - k>(saved_at(t, b), this->terms_at(t, b, t1));
        pair_gradients(t, {b, b + 1}, {0, geometry.blocks}, {0, Cell::kSlots});
      });
  }

  // A stage of a step, for rows that have it.
  template <int kStage, class Meet>
  void stage(ptrdiff_t t, ptrdiff_t t1, const Share& share, int unit_group, Meet meet) const {
    const BatchRows active = share.rows.below(s.count(t));
    const Range own = share.of(Of::projects_in(kStage));
    if constexpr (!Of::kByRow) {
      for_tiles(active, own, [&](const BatchRows& rows, Range blocks) {
        Local local;
        const Wanted wanted = local.of(rows, blocks);
        gradients_by_operands<kStage>(t, rows, blocks, wanted);
        units_through<kStage>(t, t1, rows, blocks, wanted);
      });
    } else {
      if constexpr (kStage < Of::kLast && !Of::wanting(kStage)) return;
      for_tiles(active, own, [&](const BatchRows& rows, Range blocks) {
        gradients_by_operands<kStage>(t, rows, blocks, of_step());
      });
      meet();
      rows_through<kStage>(t, t1, active.part_of(f.plan.unit_groups, unit_group));
    }
    meet();
  }

  Vec<T> final_gradient(int state, ptrdiff_t b, ptrdiff_t unit) const {
    if (f.dfinal[state] == nullptr) return Vec<T>{};
    const ptrdiff_t units = geometry.units_of(state);
    return load_units(f.dfinal[state] + b * units + unit, units - unit);
  }

  template <int kStage, bool kZones>
  void pointwise(ptrdiff_t t, ptrdiff_t t1, const BatchRows& rows, Range blocks, const Wanted& wanted) const {
    using V = Vec<T>;
    constexpr bool last = kStage == Of::kLast;
    constexpr bool kPast = kZones && last;  // part of dL/dh' goes past the cell to dL/dh
    constexpr int kFirst = Cell::kHiddenIsDirect || kPast ? 0 : 1;
    constexpr int kEnd = Of::projects_in(kStage) ? 1 : Cell::kStates;  // a projection is of h alone
    const Rows<const T> hidden = hidden_before(t), dys = s.at(f.dy, t);
    const ptrdiff_t live = s.count(t + 1);
    const T *states_before[Cell::kStates], *states_after[Cell::kStates];
    for (int j = 1; j < Cell::kStates; ++j)
      states_before[j] = again_at(j, t, t1), states_after[j] = again_at(j, t + 1, t1);
    const ptrdiff_t count = rows.count();
    for (ptrdiff_t i = 0; i < count; ++i) {
      const ptrdiff_t b = rows.crossed(i, count);
      T* row = saved_at(t, b);
      for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block) {
        T* slots = row + block * kBlock * Cell::kSlots;
#pragma GCC unroll 1
        for (ptrdiff_t lane = 0; lane < kBlock; lane += kLanes<T>) {
          const ptrdiff_t unit = block * kBlock + lane, valid = geometry.units_in(kStage) - unit;
          const ptrdiff_t at = b * geometry.padded + unit;
          V a[Cell::kSlots], before[Cell::kStates], after[Cell::kStates], d[Cell::kStates] = {}, p[Of::kUnits + 1];
          for (int g = 0; g < Cell::kSlots; ++g) a[g] = load(slots + g * kBlock + lane);
          if constexpr (Cell::kHiddenIsDirect) before[0] = load_units(hidden.p + b * hidden.inner + unit, valid);
          for (int j = 1; j < Cell::kStates; ++j) {
            before[j] = load(states_before[j] + at);
            after[j] = load(states_after[j] + at);
          }
          for (int k = 0; k < Of::kUnits; ++k) p[k] = load(units + k * geometry.padded + unit);
          const auto given = [&](int place) { return load(wanted.at(place, b, unit)); };
          V value{};
          for (int j = 0; j < Cell::kStates; ++j) {
            const bool given_here = wants(kStage, j) && !(j == 0 && !last);
            if (j == 0 && last) {
              // Without a feed from h only a row's last step has a gradient here, that of the final state.
              d[0] = wants(kStage, 0) || b >= live ? given(0) : V{};
              if constexpr (Cell::kHiddenIsDirect || kPast) d[0] = d[0] + load(carried_at(0, b) + unit);
              if (f.dy.p != nullptr) d[0] = d[0] + load_units(dys.p + b * dys.inner + unit, valid);
            } else if (j >= kFirst && j < kEnd) {
              d[j] = load(carried_at(j, b) + unit);
              if (given_here) d[j] = d[j] + given(j);
            }
          }
          if constexpr (!last && Cell::kMade > 0) value = given(0);
          if constexpr (kZones) {
            V again[Cell::kStates], made[Of::kMade];
            for (int j = Cell::kHiddenIsDirect ? 0 : 1; j < Cell::kStates; ++j) again[j] = before[j];
            Cell::recall(a, again, made);  // what the cell made: after zoneout it is not kept
            ZoneOut<Cell, kStage, true, T> zone(f.noise, s, t, b, unit, valid);
            zone.backward(d);
            Cell::template backward<kStage>(a, before, again, d, &value, p);
            for (int j = kFirst; j < kEnd; ++j)
              d[j] = j == 0 && last && !Cell::kHiddenIsDirect ? zone.past[j] : d[j] + zone.past[j];
          } else {
            Cell::template backward<kStage>(a, before, after, d, &value, p);
          }
          for (int g = 0; g < Cell::kSlots; ++g)
            if (Of::has(Cell::gradients_in(kStage), g)) store(slots + g * kBlock + lane, a[g]);
          for (int j = kFirst; j < kEnd; ++j) store(carried_at(j, b) + unit, d[j]);
        }
      }
    }
  }

  void start(const Share& share) const {
    for_units<T>(share.rows, share.blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
      store(carried_at(0, b) + unit, Vec<T>{});
      for (int j = 1; j < Cell::kStates; ++j) store(carried_at(j, b) + unit, final_gradient(j, b, unit));
    });
  }

  // The gradients of the initial states: of all of them, or of h and then of those that are wider.
  void finish(const Share& share) const {
    constexpr int kTogether = Cell::kProjects ? 1 : Cell::kStates;
    for_tiles(share.rows, share.outputs, [&](const BatchRows& rows, Range blocks) {
      Local local;
      const Wanted wanted = local.of(rows, blocks);
      gradients_by_operands<Of::kLast>(-1, rows, blocks, wanted);
      for (int j = 0; j < kTogether; ++j) finish(j, rows, blocks, wanted);
    });
    if constexpr (Cell::kProjects)
      for_tiles(share.rows, share.blocks, [&](const BatchRows& rows, Range blocks) {
        for (int j = 1; j < Cell::kStates; ++j) finish(j, rows, blocks, {});
      });
  }
  void finish(int j, const BatchRows& rows, Range blocks, const Wanted& wanted) const {
    const ptrdiff_t units = geometry.units_of(j);
    for_units<T>(rows, blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
      const bool given = wants(Of::kLast, j) || (j == 0 && b >= s.count(0));
      const bool carried = j > 0 || Cell::kHiddenIsDirect || f.noise.zones();
      Vec<T> d = given ? load(wanted.at(j, b, unit)) : Vec<T>{};
      if (carried) d = d + load(carried_at(j, b) + unit);
      store_units(f.dinitial[j] + b * units + unit, d, units - unit);
    });
  }

  template <class F>
  static void for_tiles(const BatchRows& rows, Range blocks, F visit) {
    balanced(blocks, kColumnBlocks, [&](ptrdiff_t b0, ptrdiff_t b1) {
      for_row_blocks(rows, [&](const BatchRows& some) { visit(some, Range{b0, b1}); });
    });
  }

  // The groups of columns of one unit group, and the panels of W, are packed by all row groups together, or by each.
  void prepare(const Share& share, int thread) const {
    ptrdiff_t turn = 0;
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      const ptrdiff_t from = this->geometry.blocks_in(feed.stage);
      const Range own = share.of(Cell::kProjects && this->geometry.reads_hidden(feed));
      balanced(own, kColumnBlocks, [&](ptrdiff_t b0, ptrdiff_t b1) {
        const bool mine = turn++ % f.plan.row_groups == thread / f.plan.unit_groups;
        if (mine || f.plan.own_panels)
          pack_rows(this->feed_panels[k] + this->operands.cells(from * kBlock * feed.slots.count) * b0 * kBlock,
                    f.weights.recurrent[feed.matrix], this->geometry.width_of(feed),
                    this->geometry.units_in(feed.stage), feed.slots, from, {b0 * kBlock, b1 * kBlock}, this->operands);
      });
    });
    if (thread == f.plan.threads() - 1) {
      for (ptrdiff_t i = 0; i < zero_count(); ++i) zeros[i] = T(0);
      pack_units<Cell>(units, f.weights.units, s.hidden, geometry.padded, {0, geometry.blocks});
      if constexpr (Of::kByRow) pack_gains<Cell>(this->gain, f.weights, s.hidden, {0, geometry.blocks});
    }
    if (f.dx.p != nullptr || f.dtable != nullptr) this->pack_input_panels(thread);
    if (f.tokens != nullptr) this->zero_by_token(thread);
    start(share);
  }

  void run(int thread, Barriers& barriers, Interrupt& interrupt) const {
    const Share share = share_of(f.plan, thread, s, geometry);
    const int unit_group = thread % f.plan.unit_groups;
    const bool meets = f.plan.unit_groups > 1 && Of::kFeeds > 0;
    prepare(share, thread);
    barriers.team.wait();
    for (ptrdiff_t t1 = s.steps; t1 > 0; t1 -= f.plan.chunk) {
      const ptrdiff_t t0 = max_of(0, t1 - f.plan.chunk);
      bool stop = false;
      if (f.noise.zones())
        this->template recall<true>(t0, t1, share);
      else
        this->template recall<false>(t0, t1, share);
      this->pack_chunk(t0, t1, thread);
      for (ptrdiff_t t = t1; t-- > t0 && !stop;) {
        stop = interrupt.check(thread);
        const auto meet = [&] {
          if (meets) stop = barriers.group(thread / f.plan.unit_groups)->wait(stop);
        };
        for_constants<Cell::kStages>([&](auto k) { stage<Of::kLast - k>(t, t1, share, unit_group, meet); });
      }
      if (barriers.team.wait(stop)) return;
      if constexpr (Cell::kSlots == 1)
        for (ptrdiff_t t = t1; f.dbegin.of != nullptr && t-- > t0;)
          add_to_begin<T>(s, f.dbegin, t, share.rows.part_of(f.plan.unit_groups, unit_group).below(s.count(t)),
                          {saved_at(t, 0), 0, geometry.row});  // a row belongs to one thread at all steps
      this->input_gradient(t0, t1, thread);
      this->weight_gradients(t0, t1, thread);
    }
    if (f.tokens != nullptr) {
      barriers.team.wait();
      this->token_gradients(thread);
    }
    finish(share);
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
  return {0, run.geometry.row, 0, run.panels_used, run.used};
}

}  // namespace fastrnn::FASTRNN_ISA
