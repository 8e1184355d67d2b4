// The memory of a forward pass, its packed weights, and the input's share of the pre-activations.
#pragma once

#include "kernels/norm.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ForwardInputs {
  using Of = Traits<Cell>;
  const Forward<T>& f;
  const Shape& s;
  Geometry<Cell> geometry;
  StateSteps states;
  T *input_panels, *feed_panels[Of::kFeeds + 1], *bias, *gain, *units;
  T* projected;  // [vocabulary, row], the table times W
  T* made;       // [kMade][B, padded], of the step
  ptrdiff_t panels_used, stash_used, used;

  explicit ForwardInputs(const Forward<T>& args)
      : f(args), s(args.shape), geometry(s, sizeof(T)), states(state_steps<Cell>(s.steps, args.keep)) {
    Scratch<T> scratch{args.scratch}, panels{args.panels};
    input_panels = panels.take(round_to_block(s.inputs) * geometry.padded * Cell::kInput.count);
    for (int i = 0; i < Of::kFeeds; ++i) feed_panels[i] = panels.take(geometry.panel_size(Cell::kFeeds.at[i]));
    bias = scratch.take(geometry.padded * Cell::kSlots);
    gain = scratch.take(Of::kByRow ? geometry.padded * Cell::kSlots : 0);
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
    const auto add = [&](T* to, const T* from, Slots slots) { add_slots<Cell>(to, from, slots, s.hidden, blocks); };
    clear_slots<Cell>(bias, blocks);
    add(bias, f.weights.input_bias, Of::value_of(Cell::kInput));
    add(bias, f.weights.inner_bias, Of::value_of(Cell::kInner));
    if constexpr (Of::kByRow) pack_gains<Cell>(gain, f.weights, s.hidden, blocks);
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      if constexpr (feed.matrix == 0) add(bias, f.weights.recurrent_bias, Of::value_of(feed.slots));
    });
    pack_units<Cell>(units, f.weights.units, s.hidden, geometry.padded, blocks);
    if (f.tokens != nullptr) project({projected, 0, geometry.row}, {f.table, 0, s.inputs}, 1, s.vocabulary, blocks);
  }

  static ptrdiff_t column(Range blocks) { return blocks.begin * kBlock * Cell::kSlots; }
  static ptrdiff_t panel_offset(ptrdiff_t depth, Slots slots, Range blocks) {
    return depth * blocks.begin * kBlock * slots.count;
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
    if constexpr (Of::wants_bias())
      for (ptrdiff_t i = 0; i < outer; ++i)
        for (ptrdiff_t j = 0; j < inner; ++j)
          for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block)
            bias_only(out.p + i * out.outer + j * out.inner, block);
  }
  // Slots that W does not feed begin with their bias.
  void bias_only(T* row, ptrdiff_t block) const {
    for (int slot = 0; slot < Cell::kSlots; ++slot) {
      if (!Of::wants_bias(slot)) continue;
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
    constexpr Slots taken = Of::wants_bias() ? Slots{0, Cell::kSlots} : Cell::kInput;
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b)
      for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block) {
        const ptrdiff_t first = (block * Cell::kSlots + taken.first) * kBlock;
        const T* from = projected + f.tokens[s.place(t) + b] * geometry.row + first;
        T* to = saved_at(t, b) + first;
        for (ptrdiff_t i = 0; i < taken.count * kBlock; i += kLanes<T>) store(to + i, load(from + i));
      }
  }

  // The input's share of the pre-activations of steps [t0, t1).
  void project_chunk(ptrdiff_t t0, ptrdiff_t t1, Range rows, Range blocks) const {
    if (s.ragged())  // one row group has them all, and they lie together
      project({saved_at(t1 - 1, 0), 0, geometry.row}, s.at(f.x, t1 - 1), 1, s.between(t0, t1), blocks);
    else
      project({saved_at(t0, rows.begin), -s.rows * geometry.row, geometry.row}, moved(f.x, t0, rows.begin), t1 - t0,
              rows.end - rows.begin, blocks);
  }
};

}  // namespace fastrnn::FASTRNN_ISA
