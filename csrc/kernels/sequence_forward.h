// The time loop forward: project a chunk of inputs, then step by step products and pointwise.
#pragma once

#include "kernels/state_noise.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ForwardRun {
  using Of = Traits<Cell>;
  const Forward<T>& f;
  const Shape& s;
  Geometry<Cell> geometry;
  StateSteps states;
  T *input_panels, *feed_panels[Of::kFeeds + 1], *bias, *units;
  T* projected;  // [vocabulary, row], the table times W
  T* made;       // [kMade][B, padded], of the step
  ptrdiff_t panels_used, stash_used, used;

  explicit ForwardRun(const Forward<T>& args)
      : f(args), s(args.shape), geometry(s, sizeof(T)), states(state_steps<Cell>(s.steps, args.keep)) {
    Scratch<T> scratch{args.scratch}, panels{args.panels};
    input_panels = panels.take(round_to_block(s.inputs) * geometry.padded * Cell::kInput.count);
    for (int i = 0; i < Of::kFeeds; ++i) feed_panels[i] = panels.take(geometry.panel_size(Cell::kFeeds.at[i]));
    bias = scratch.take(geometry.padded * Cell::kSlots);
    units = scratch.take(geometry.padded * Of::kUnits);
    projected = scratch.take(s.vocabulary * geometry.row);
    stash_used = (Cell::kStates - 1) * states.kept() * s.rows * geometry.padded;
    made = f.stash == nullptr ? nullptr : f.stash + stash_used;
    stash_used += Cell::kMade * s.rows * geometry.padded;
    panels_used = panels.used;
    used = scratch.used;
  }

  // Everything of a group of blocks that does not depend on the step: of the cell, then of a projection.
  template <bool kProjection>
  void prepare(Range blocks) const {
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      if constexpr (Of::projects_in(feed.stage) == kProjection) {
        const ptrdiff_t depth = geometry.width_of(feed);
        pack_transposed(feed_panels[k] + panel_offset(depth, feed.slots, blocks), f.weights.recurrent[feed.matrix],
                        depth, geometry.units_in(feed.stage), feed.slots, blocks);
      }
    });
    if constexpr (kProjection) return;
    pack_transposed(input_panels + panel_offset(s.inputs, Cell::kInput, blocks), f.weights.input, s.inputs, s.hidden,
                    Cell::kInput, blocks);
    T* to = bias + column(blocks);
    for (ptrdiff_t i = 0; i < (blocks.end - blocks.begin) * kBlock * Cell::kSlots; ++i) to[i] = T(0);
    add_bias(to, f.weights.input_bias, Cell::kInput, blocks);
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      if constexpr (feed.matrix == 0) add_bias(to, f.weights.recurrent_bias, feed.slots, blocks);
    });
    pack_units<Cell>(units, f.weights.units, s.hidden, geometry.padded, blocks);
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
    if constexpr (Cell::kInput.count < Cell::kSlots)
      for (ptrdiff_t i = 0; i < outer; ++i)
        for (ptrdiff_t j = 0; j < inner; ++j)
          for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block)
            bias_only(out.p + i * out.outer + j * out.inner, block);
  }
  // Slots that W does not feed begin with their bias.
  void bias_only(T* row, ptrdiff_t block) const {
    for (int slot = 0; slot < Cell::kSlots; ++slot) {
      if (Of::has(Cell::kInput, slot)) continue;
      const ptrdiff_t at = (block * Cell::kSlots + slot) * kBlock;
      for (ptrdiff_t i = 0; i < kBlock; i += kLanes<T>) store(row + at + i, load(bias + at + i));
    }
  }

  // Without keeping, one chunk lies where the last one did.
  T* saved_at(ptrdiff_t t, ptrdiff_t b) const {
    const ptrdiff_t first = f.keep != 0 ? 0 : s.place(min_of(s.steps, (t / f.plan.chunk + 1) * f.plan.chunk) - 1);
    return f.saved + (s.place(t) - first + b) * geometry.row;
  }
  // State i >= 1 before step t; t = steps: the last one.
  T* state_at(int i, ptrdiff_t t) const {
    return f.stash + ((i - 1) * states.kept() + states.place(t)) * s.rows * geometry.padded;
  }
  Rows<const T> hidden_before(ptrdiff_t t) const {
    if (t == 0) return {f.initial[0], 0, f.initial_stride[0]};
    const Rows<T> y = s.at(f.y, t - 1);
    return {y.p, 0, y.inner};
  }
  Rows<const T> operand(const Feed& feed, ptrdiff_t t) const {
    if (feed.operand == Operand::kMade) return {made + feed.index * s.rows * geometry.padded, 0, geometry.padded};
    const ptrdiff_t when = feed.operand == Operand::kBefore ? t : t + 1;
    if (feed.index == 0 && f.noise.drop.p != nullptr) return {f.noise.at(s, when), 0, round_to_block(geometry.output)};
    if (feed.index == 0) return hidden_before(when);
    return {state_at(feed.index, when), 0, geometry.padded};
  }

  void input_of_tokens(ptrdiff_t t, Range rows, Range blocks) const {
    const ptrdiff_t columns = (blocks.end - blocks.begin) * kBlock * Cell::kSlots;
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b) {
      const T* from = projected + f.tokens[s.place(t) + b] * geometry.row + column(blocks);
      T* to = saved_at(t, b) + column(blocks);
      for (ptrdiff_t i = 0; i < columns; i += kLanes<T>) store(to + i, load(from + i));
    }
  }

  template <int kStage>
  void stage(ptrdiff_t t, Range rows, Range blocks) const {
    if (kStage == 0 && f.tokens != nullptr) input_of_tokens(t, rows, blocks);
    if constexpr (kStage == 0 && Cell::kSide >= 0)
      for_units<T>(rows, blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
        store(saved_at(t, b) + slot_of<Cell>(unit, Cell::kSide), side_units(s.at(f.side, t), b, unit, s.hidden - unit));
      });
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      if constexpr (feed.stage == kStage) {
        T* out = saved_at(t, rows.begin) + column(blocks) + feed.slots.first * kBlock;
        const ptrdiff_t depth = geometry.width_of(feed);
        product<T>({1,
                    rows.end - rows.begin,
                    depth,
                    (blocks.end - blocks.begin) * kBlock * feed.slots.count,
                    moved(operand(feed, t), 0, rows.begin),
                    {out, 0, geometry.row},
                    {out, 0, geometry.row},
                    feed_panels[k] + panel_offset(depth, feed.slots, blocks),
                    0});
      }
    });
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
  }

  template <int kStage, bool kZones>
  void pointwise(ptrdiff_t t, Range rows, Range blocks) const {
    using V = Vec<T>;
    const Rows<const T> hidden = hidden_before(t);
    const Rows<T> ys = s.at(f.y, t);
    T *before[Cell::kStates], *after[Cell::kStates];
    for (int j = 1; j < Cell::kStates; ++j) before[j] = state_at(j, t), after[j] = state_at(j, t + 1);
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b) {
      T *const row = saved_at(t, b), *const y = ys.p + b * ys.inner;
      for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block) {
        T* slots = row + block * kBlock * Cell::kSlots;
#pragma GCC unroll 1
        for (ptrdiff_t i = 0; i < kBlock; i += kLanes<T>) {
          const ptrdiff_t unit = block * kBlock + i, valid = geometry.units_in(kStage) - unit;
          const ptrdiff_t at = b * geometry.padded + unit;
          V a[Cell::kSlots], state[Cell::kStates], value[Of::kMade], p[Of::kUnits + 1];
          for (int g = 0; g < Cell::kSlots; ++g) a[g] = load(slots + g * kBlock + i);
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
              if (Of::has(Cell::gates_in(kStage), g)) store(slots + g * kBlock + i, a[g]);
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

  // The input's share of the pre-activations of steps [t0, t1).
  void project_chunk(ptrdiff_t t0, ptrdiff_t t1, Range rows, Range blocks) const {
    if (s.ragged())  // one row group has them all, and they lie together
      project({saved_at(t1 - 1, 0), 0, geometry.row}, s.at(f.x, t1 - 1), 1, s.between(t0, t1), blocks);
    else
      project({saved_at(t0, rows.begin), -s.rows * geometry.row, geometry.row}, moved(f.x, t0, rows.begin), t1 - t0,
              rows.end - rows.begin, blocks);
  }

  void run(int thread, Barriers& barriers, Interrupt& interrupt) const {
    constexpr ptrdiff_t most = Geometry<Cell>::kBlocksPerGroup;
    const Share share = share_of(f.plan, thread, s.rows, geometry);
    const Range rows = share.rows;
    const bool meets = f.plan.unit_groups > 1 && Of::kFeeds > 0;
    const auto for_groups = [&](Range blocks, auto g) {
      balanced(blocks, most, [&](ptrdiff_t b0, ptrdiff_t b1) { g(Range{b0, b1}); });
    };
    // The groups of one unit group are prepared by all row groups together.
    ptrdiff_t turn = 0;
    const auto my_turn = [&] { return turn++ % f.plan.row_groups == thread / f.plan.unit_groups; };
    if (!f.prepared) {
      for_groups(share.blocks, [&](Range blocks) {
        if (my_turn()) prepare<false>(blocks);
      });
      if constexpr (Cell::kProjects)
        for_groups(share.outputs, [&](Range blocks) {
          if (my_turn()) prepare<true>(blocks);
        });
    }
    start(share);
    barriers.team.wait();
    bool stop = false;
    for (ptrdiff_t t0 = 0; t0 < s.steps && !stop; t0 += f.plan.chunk) {
      const ptrdiff_t t1 = min_of(s.steps, t0 + f.plan.chunk);
      if (f.tokens == nullptr) for_groups(share.blocks, [&](Range blocks) { project_chunk(t0, t1, rows, blocks); });
      for (ptrdiff_t t = t0; t < t1 && !stop; ++t) {
        stop = interrupt.check(thread);
        for_constants<Cell::kStages>([&](auto k) {
          for_groups(share.of(Of::projects_in(k)), [&](Range blocks) {
            balanced({rows.begin, min_of(rows.end, s.count(t))}, kRowBlock,
                     [&](ptrdiff_t r0, ptrdiff_t r1) { stage<k>(t, {r0, r1}, blocks); });
          });
          if (meets) stop = barriers.group(thread / f.plan.unit_groups)->wait(stop);
        });
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
