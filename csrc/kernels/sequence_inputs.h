// The memory of a forward pass, its packed weights, and the input's share of the pre-activations.
#pragma once

#include "kernels/norm.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ForwardInputs : Pass<Cell, T, Forward<T>> {
  using Base = Pass<Cell, T, Forward<T>>;
  using Of = Traits<Cell>;
  using Base::f, Base::s, Base::geometry, Base::operands, Base::input_panels, Base::feed_panels;
  StateSteps states;
  T *bias, *gain, *units;
  T* projected;                          // [vocabulary, row], the table times W
  T* made;                               // [kMade][B, padded], of the step
  T *paired[Of::kFeeds + 1], *paired_x;  // cells of what feeds read, [2][B, row], of two steps; of x of a chunk, of
                                         // each thread, or of the table
  ptrdiff_t stash_used, used;

  explicit ForwardInputs(const Forward<T>& args) : Base(args), states(state_steps<Cell>(s.steps, args.keep)) {
    Scratch<T> scratch{args.scratch};
    bias = scratch.take(geometry.padded * Cell::kSlots);
    gain = scratch.take(Of::kByRow ? geometry.padded * Cell::kSlots : 0);
    units = scratch.take(geometry.padded * Of::kUnits);
    projected = scratch.take(s.vocabulary * geometry.row);
    stash_used = (Cell::kStates - 1) * states.kept() * s.rows * geometry.padded;
    Scratch<T> more{f.stash, stash_used};
    made = more.take(Cell::kMade * s.rows * geometry.padded);
    for (int i = 0; i < Of::kFeeds; ++i)
      paired[i] = more.take(operands.paired() ? 2 * s.rows * paired_row(Cell::kFeeds.at[i]) : 0);
    paired_x = more.take(operands.paired() ? max_of(s.vocabulary, f.plan.threads() * chunk_rows()) * x_row() : 0);
    stash_used = more.used;
    used = scratch.used;
  }

  // Cells of a row.
  ptrdiff_t paired_row(const Feed& feed) const { return round_to_block(operands.cells(geometry.width_of(feed))); }
  ptrdiff_t x_row() const { return round_to_block(operands.cells(s.inputs)); }
  ptrdiff_t chunk_rows() const { return f.plan.chunk * ceil_div(s.rows, f.plan.row_groups); }  // of one thread, at most

  // What does not depend on the step, of a group of blocks: the weights of feeds, of the cell or of a projection;
  // those of the input; the rest.
  template <bool kProjection>
  void pack_feeds(Range blocks) const {
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      if constexpr (Of::projects_in(feed.stage) == kProjection) {
        const ptrdiff_t depth = this->geometry.width_of(feed);
        pack_transposed(this->feed_panels[k] + panel_offset(depth, feed.slots, blocks),
                        this->f.weights.recurrent[feed.matrix], depth, this->geometry.units_in(feed.stage), feed.slots,
                        blocks, this->operands);
      }
    });
  }
  void pack_inputs(Range blocks) const {
    pack_transposed(input_panels + panel_offset(s.inputs, Cell::kInput, blocks), f.weights.input, s.inputs, s.hidden,
                    Cell::kInput, blocks, operands);
  }
  // What has one place for all row groups; the table is multiplied by what this thread has packed.
  void prepare(Range blocks) const {
    const auto add = [&](T* to, const T* from, Slots slots) { add_slots<Cell>(to, from, slots, s.hidden, blocks); };
    clear_slots<Cell>(bias, blocks);
    add(bias, f.weights.input_bias, Of::value_of(Cell::kInput));
    add(bias, f.weights.inner_bias, Of::value_of(Cell::kInner));
    if constexpr (Of::kByRow) pack_gains<Cell>(gain, f.weights, s.hidden, blocks);
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      if constexpr (feed.matrix == 0) add(bias, this->f.weights.recurrent_bias, Of::value_of(feed.slots));
    });
    pack_units<Cell>(units, f.weights.units, s.hidden, geometry.padded, blocks);
    if (f.tokens == nullptr) return;
    const Rows<const T> table{operands.paired() ? paired_x : f.table, 0, operands.paired() ? x_row() : s.inputs};
    project({projected, 0, geometry.row}, table, 1, s.vocabulary, blocks);
  }

  static ptrdiff_t column(Range blocks) { return blocks.begin * kBlock * Cell::kSlots; }
  ptrdiff_t panel_offset(ptrdiff_t depth, Slots slots, Range blocks) const {
    return operands.cells(depth) * blocks.begin * kBlock * slots.count;
  }

  // out = in + x W' for a grid of rows, or bias + x W' if `in` is null; x in cells.
  void project(Rows<T> out, Rows<const T> x, ptrdiff_t outer, ptrdiff_t inner, Range blocks,
               Rows<const T> in = {}) const {
    const ptrdiff_t first = column(blocks) + Cell::kInput.first * kBlock;
    if (in.p == nullptr) in.p = bias;
    product<T>({outer,
                inner,
                operands.cells(s.inputs),
                (blocks.end - blocks.begin) * kBlock * Cell::kInput.count,
                x,
                {in.p + first, in.outer, in.inner},
                {out.p + first, out.outer, out.inner},
                input_panels + panel_offset(s.inputs, Cell::kInput, blocks),
                0,
                1,
                0,
                operands.tiles()});
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

  // Without keeping, one chunk lies where the last one did.  Row groups may be a chunk apart: a row keeps its place.
  T* saved_at(ptrdiff_t t, ptrdiff_t b) const {
    if (f.keep != 0) return f.saved + (s.place(t) + b) * geometry.row;
    const ptrdiff_t last = min_of(s.steps, (t / f.plan.chunk + 1) * f.plan.chunk) - 1;
    const ptrdiff_t place = f.plan.row_groups == 1 ? s.place(t) - s.place(last) : (last - t) * s.rows;
    return f.saved + (place + b) * geometry.row;
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
  // What a feed reads at step t; as cells, with k its place in the list.
  Rows<const T> cells_read(int k, ptrdiff_t t) const {
    const Feed& feed = Cell::kFeeds.at[k];
    if (!operands.paired()) return numbers_read(feed, t);
    const ptrdiff_t row = paired_row(feed);
    return {paired[k] + t % 2 * s.rows * row, 0, row};
  }
  Rows<const T> numbers_read(const Feed& feed, ptrdiff_t t) const {
    if (feed.operand == Operand::kMade) return {made + feed.index * s.rows * geometry.padded, 0, geometry.padded};
    const ptrdiff_t when = feed.operand == Operand::kBefore ? t : t + 1;
    if (feed.index == 0 && f.noise.drop.p != nullptr) return {f.noise.at(s, when), 0, round_to_block(geometry.output)};
    if (feed.index == 0) return hidden_before(when);
    return {state_at(feed.index, when), 0, geometry.padded};
  }

  void input_of_tokens(ptrdiff_t t, const BatchRows& rows, Range blocks) const {
    constexpr Slots taken = Of::wants_bias() ? Slots{0, Cell::kSlots} : Cell::kInput;
    for (ptrdiff_t b = rows.begin; b < rows.end; b += rows.step)
      for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block) {
        const ptrdiff_t first = (block * Cell::kSlots + taken.first) * kBlock;
        const T* from = projected + f.tokens[s.place(t) + b] * geometry.row + first;
        T* to = saved_at(t, b) + first;
        for (ptrdiff_t i = 0; i < taken.count * kBlock; i += kLanes<T>) store(to + i, load(from + i));
      }
  }

  // Cuts the rows of steps [t0, t1) into grids: f(first step, steps, rows), the first rows of the grid's first step.
  // Rows of unlike lengths lie one behind the other, and are one step if all are the thread's.
  template <class F>
  void for_grids(ptrdiff_t t0, ptrdiff_t t1, const BatchRows& rows, F f) const {
    const bool dealt = s.ragged() && rows.step > 1;
    for (ptrdiff_t i = 0; i < (dealt ? t1 - t0 : 1); ++i) {  // f is called, and so inlined, once
      const ptrdiff_t t = s.ragged() ? t1 - 1 - i : t0;
      f(t, s.ragged() ? 1 : t1 - t0,
        dealt        ? rows.below(s.count(t))
        : s.ragged() ? BatchRows{0, s.between(t0, t1)}
                     : rows);
    }
  }
  // x of steps [t0, t1) as cells, one grid behind the other.
  FASTRNN_APART void pair_chunk(ptrdiff_t t0, ptrdiff_t t1, const BatchRows& rows, int thread) const {
    if constexpr (std::is_same_v<T, float>) {
      if (!operands.paired()) return;
      T* to = paired_x + thread * chunk_rows() * x_row();
      for_grids(t0, t1, rows, [&](ptrdiff_t t, ptrdiff_t steps, const BatchRows& own) {
        pair_grid(to, x_row(), own.of(x_from(t)), steps, own.count(), s.inputs);
        to += steps * own.count() * x_row();
      });
    }
  }
  Rows<const T> x_from(ptrdiff_t t) const { return s.ragged() ? s.at(f.x, t) : moved(f.x, t, 0); }

  // The same for steps that begin with something else: a step at a time, as each names what it begins with, or with
  // unlike lengths each of its rows does.
  FASTRNN_APART void project_begun(ptrdiff_t t, ptrdiff_t steps, const BatchRows& rows, Rows<T> out, Rows<const T> x,
                                   Range blocks) const {
    const ptrdiff_t count = rows.count();
    for (ptrdiff_t i = 0; i < steps; ++i, out.p += out.outer, x.p += x.outer) {
      Rows<const T> in{out.p, 0, out.inner};
      if (s.ragged())
        begin_rows<T>(f.begin, f.begin.of + s.place(t), rows, blocks, saved_at(t, 0), geometry.row);
      else
        in = rows.of(moved(f.begin.rows, f.begin.of[t + i], 0));
      project(out, x, 1, count, blocks, {in.p, 0, in.inner});
    }
  }

  // The input's share of the pre-activations of steps [t0, t1).
  void project_chunk(ptrdiff_t t0, ptrdiff_t t1, const BatchRows& rows, Range blocks, int thread) const {
    const T* cells = paired_x + thread * chunk_rows() * x_row();
    for_grids(t0, t1, rows, [&](ptrdiff_t t, ptrdiff_t steps, const BatchRows& own) {
      const ptrdiff_t count = own.count();
      const Rows<const T> x = operands.paired() ? Rows<const T>{cells, count * x_row(), x_row()} : own.of(x_from(t));
      const Rows<T> out = own.of(Rows<T>{saved_at(t, 0), -s.rows * geometry.row, geometry.row});
      if (Cell::kSlots == 1 && f.begin.of != nullptr)
        project_begun(t, steps, own, out, x, blocks);
      else
        project(out, x, steps, count, blocks);
      cells += steps * count * x_row();
    });
  }
};

}  // namespace fastrnn::FASTRNN_ISA
