// What a backward pass forms by chunk: the gradients of x and of the weights.
#pragma once

#include "kernels/sequence_chunk.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ChunkGradients : ChunkMemory<Cell, T> {
  using Base = ChunkMemory<Cell, T>;
  using Of = typename Base::Of;
  using Base::Base, Base::f, Base::s, Base::geometry, Base::input_panels, Base::zeros, Base::by_token, Base::kAgain;
  using Base::packed_x, Base::packed_h, Base::saved_at, Base::again_at, Base::terms_at, Base::gradients;
  using Base::packs_x, Base::chunk_of, Base::of_chunk, Base::operands;

  static constexpr bool one_bias() {
    if (Of::kByRow || Of::kFeeds != 1) return false;
    const Slots w = Cell::kInput, r = Cell::kFeeds.at[0].slots;
    return w.first == r.first && w.count == r.count && w.gate == r.gate && w.rotate == r.rotate;
  }
  static constexpr bool kOneBias = one_bias();

  // out = in + dG w for rows of dG in cells, the slots of the first `blocks` blocks, and panels of some columns of w.
  void through(Slots slots, ptrdiff_t blocks, ptrdiff_t outer, ptrdiff_t inner, Rows<const T> dg, Rows<const T> in,
               Rows<T> out, ptrdiff_t columns, const T* panels) const {
    const bool whole = slots.count == Cell::kSlots;  // the slots of all blocks lie together
    product<T>({outer, inner, operands.cells((whole ? blocks : 1) * slots.count * kBlock), columns, dg, in, out, panels,
                0, whole ? 1 : blocks, operands.cells(Cell::kSlots * kBlock), operands.tiles()});
  }

  // dx of steps [t0, t1): the rows are dealt to the whole team.
  void input_gradient(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    if (f.dx.p == nullptr) return;
    if (s.ragged()) {  // the rows of the chunk lie together
      const Range own = part(s.between(t0, t1), f.plan.threads(), thread);
      input_gradient(1, own.end - own.begin, gradients(t1 - 1, own.begin, Cell::kInput),
                     moved(s.at(f.dx, t1 - 1), 0, own.begin));
      return;
    }
    const bool by_row = s.rows >= t1 - t0;
    const Range steps = by_row ? Range{t0, t1} : shifted(part(t1 - t0, f.plan.threads(), thread), t0);
    const Range rows = by_row ? part(s.rows, f.plan.threads(), thread) : Range{0, s.rows};
    input_gradient(steps.end - steps.begin, rows.end - rows.begin, gradients(steps.begin, rows.begin, Cell::kInput),
                   moved(f.dx, steps.begin, rows.begin));
  }
  void input_gradient(ptrdiff_t outer, ptrdiff_t inner, Rows<const T> dg, Rows<T> dx) const {
    const Rows<const T> in = f.add_dx ? Rows<const T>{dx.p, dx.outer, dx.inner} : Rows<const T>{zeros, 0, 0};
    through(Cell::kInput, geometry.blocks, outer, inner, dg, in, dx, s.inputs, input_panels);
  }
  static Range shifted(Range r, ptrdiff_t by) { return {r.begin + by, r.end + by}; }

  // Weight gradients of steps [t0, t1): t descends, rows ascend.  The runs of kBlock matrix rows are dealt to the team.
  void weight_gradients(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    const ptrdiff_t buffer = chunk_of(t1) % 2, rows = s.between(t0, t1);
    const auto sums = [&](T* to, const T* from, ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
      if (to != nullptr) add_rows<1>({to + matrix_row}, {from + column, 0, geometry.row}, rows, count);
    };
    // Where W and R feed the same slots, one pass over dG is for both biases.
    const bool together = kOneBias && f.grads.input_bias != nullptr && f.grads.recurrent_bias != nullptr;
    // A bias belongs to the slot that its product gets into, a gain to that of the product.
    const auto unit_sums = [&](Slots slots, T* bias, T* gains, ptrdiff_t column, ptrdiff_t matrix_row,
                               ptrdiff_t count) {
      sums(bias, saved_at(t1 - 1, 0), column + (Of::value_of(slots).first - slots.first) * kBlock, matrix_row, count);
      if constexpr (Of::kByRow) sums(gains, terms_at(t1 - 1, 0, t1), column, matrix_row, count);
    };
    for_own_runs(Cell::kInner, s.hidden, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
      unit_sums(Cell::kInner, f.grads.inner_bias, f.grads.inner_gain, column, matrix_row, count);
    });
    for_own_runs(Cell::kInput, s.hidden, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
      if (together)
        add_rows<2>({f.grads.input_bias + matrix_row, f.grads.recurrent_bias + matrix_row},
                    {saved_at(t1 - 1, 0) + column, 0, geometry.row}, rows, count);
      else
        unit_sums(Cell::kInput, f.grads.input_bias, f.grads.input_gain, column, matrix_row, count);
      if (f.tokens != nullptr) sum_by_token(t0, t1, column);  // their weights: see token_gradients
    });
    if (f.tokens == nullptr && f.grads.input != nullptr && operands.paired())
      paired_gradient(t0, t1, Cell::kInput, s.hidden, s.inputs, thread, f.grads.input,
                      [&](ptrdiff_t t) { return s.at(f.x, t); });
    else if (f.tokens == nullptr && f.grads.input != nullptr)
      for_own_panels(Cell::kInput, s.hidden, s.inputs, thread, f.grads.input,
                     [&](ptrdiff_t panel, ptrdiff_t column, T* to, ptrdiff_t count, const T* next) {
                       by_input(t0, t1, column, to, count, panel, next);
                     });
    for_constants<Of::kFeeds>([&](auto k) {
      constexpr Feed feed = Cell::kFeeds.at[k];
      T* const weight = this->f.grads.recurrent[feed.matrix];
      const ptrdiff_t units = this->geometry.units_in(feed.stage), width = this->geometry.width_of(feed);
      if (feed.matrix == 0 && !together)
        for_own_runs(feed.slots, units, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
          unit_sums(feed.slots, this->f.grads.recurrent_bias, this->f.grads.recurrent_gain, column, matrix_row, count);
        });
      if (weight != nullptr && operands.paired())
        paired_gradient(t0, t1, feed.slots, units, width, thread, weight,
                        [&](ptrdiff_t t) { return this->template read_at<feed>(t, t1); });
      else if (weight != nullptr)
        for_own_panels(feed.slots, units, width, thread, weight,
                       [&](ptrdiff_t panel, ptrdiff_t column, T* to, ptrdiff_t count, const T* next) {
                         if constexpr (feed.operand == Operand::kBefore && feed.index == 0)
                           outer_product<T>({1,
                                             rows,
                                             this->of_chunk(t1, column),
                                             {this->packed_h[buffer], 0, 0},
                                             to,
                                             width,
                                             count,
                                             width,
                                             panel,
                                             next});
                         else
                           add_again<feed>(t0, t1, column, to, count, panel, next);
                       });
    });
    if (Of::kUnits > 0 && f.grads.units != nullptr) unit_gradients(t0, t1, thread);
  }

  // The numbers that a feed read at step t.
  template <Feed feed>
  Rows<const T> read_at(ptrdiff_t t, ptrdiff_t t1) const {
    constexpr int i = feed.operand == Operand::kMade ? Cell::kStates + feed.index : feed.index;
    if constexpr (feed.operand == Operand::kBefore && feed.index == 0) {
      if (f.noise.drop.p != nullptr) return {f.noise.at(s, t), 0, round_to_block(geometry.output)};
      return this->hidden_before(t);
    } else {
      return {again_at(i, t + (feed.operand == Operand::kAfter ? 1 : 0), t1), 0, geometry.padded};
    }
  }

  // weight += dG' operand over steps [t0, t1), in pairs of rows; operand(t): its rows at a step.
  template <class F>
  FASTRNN_APART void paired_gradient(ptrdiff_t t0, ptrdiff_t t1, Slots slots, ptrdiff_t units, ptrdiff_t width,
                                     int thread, T* weight, F operand) const {
    if constexpr (std::is_same_v<T, float>) {
      RowPair* pairs = this->pairs_of(thread);
      ptrdiff_t depth = 0;
      for (ptrdiff_t t = t1; t-- > t0;) {
        const ptrdiff_t count = operands.pairs_of(s.count(t));
        list_pairs(pairs + depth, {saved_at(t, 0), 0, geometry.row}, operand(t), s.count(t), count);
        depth += count;
      }
      add_pairs(pairs, depth, slots, units, width, thread, weight);
    }
  }
  void add_pairs(const RowPair* pairs, ptrdiff_t depth, Slots slots, ptrdiff_t units, ptrdiff_t width, int thread,
                 float* weight) const {
    add_paired({pairs, depth, Cell::kSlots, slots, units, width, f.plan.threads(), thread, weight,
                this->paired_runs + thread * this->runs_size(), this->paired_panel + thread * this->panel_size(),
                operands.tiles()});
  }

  void by_input(ptrdiff_t t0, ptrdiff_t t1, ptrdiff_t column, T* to, ptrdiff_t count, ptrdiff_t panel,
                const T* next) const {
    const Rows<const T> x = s.at(f.x, t1 - 1);
    if (packs_x() || s.ragged()) {  // one after the other, in the order of the chains
      const Rows<const T> rows = packs_x() ? Rows<const T>{packed_x[chunk_of(t1) % 2], 0, 0} : x;
      outer_product<T>({1, s.between(t0, t1), of_chunk(t1, column), rows, to, s.inputs, count, s.inputs, panel, next});
    } else {
      const Rows<const T> dg{saved_at(t1 - 1, 0) + column, s.rows * geometry.row, geometry.row};
      outer_product<T>({t1 - t0, s.rows, dg, {x.p, -f.x.outer, f.x.inner}, to, s.inputs, count, s.inputs, panel, next});
    }
  }

  // The weight gradient of an operand that was formed again: it is not packed.
  template <Feed feed>
  void add_again(ptrdiff_t t0, ptrdiff_t t1, ptrdiff_t column, T* to, ptrdiff_t count, ptrdiff_t panel,
                 const T* next) const {
    constexpr int i = feed.operand == Operand::kMade ? Cell::kStates + feed.index : feed.index;
    constexpr ptrdiff_t later = feed.operand == Operand::kAfter ? 1 : 0;
    const ptrdiff_t most = s.ragged() ? 1 : t1 - t0, step = s.rows * geometry.padded;  // steps with as many rows
    for (ptrdiff_t t = t1 - 1; t >= t0; t -= most)
      outer_product<T>({most,
                        s.count(t),
                        {saved_at(t, 0) + column, s.rows * geometry.row, geometry.row},
                        {again_at(i, t + later, t1), -step, geometry.padded},
                        to,
                        s.hidden,
                        count,
                        s.hidden,
                        panel,
                        t < most ? next : to});
  }

  // One chain for each unit: see Reduction.
  void unit_gradients(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    const Range own = part(geometry.blocks, f.plan.threads(), thread);
    for_constants<Of::kUnits>([&](auto k) {
      constexpr Reduction of = Cell::kUnits.at[k];
      for (ptrdiff_t block = own.begin; block < own.end; ++block)
        for (ptrdiff_t unit = block * kBlock; unit < (block + 1) * kBlock; unit += kLanes<T>) {
          const ptrdiff_t column = (block * Cell::kSlots + of.slot) * kBlock + unit % kBlock;
          T* to = this->f.grads.units + k * this->s.hidden + unit;
          Vec<T> sum = load_units(to, this->s.hidden - unit);
          for (ptrdiff_t t = t1; t-- > t0;) {
            const T* dg = this->saved_at(t, 0) + column;
            Rows<const T> by = this->s.at(this->f.side, t);
            if constexpr (of.by_state())
              by = {this->again_at(of.state, t + (of.operand == Operand::kBefore ? 0 : 1), t1), 0,
                    this->geometry.padded};
            for (ptrdiff_t b = 0; b < this->s.count(t); ++b)
              if constexpr (of.by_state() || of.operand == Operand::kSide)
                sum = fma(load(dg + b * this->geometry.row), side_units(by, b, unit, this->s.hidden - unit), sum);
              else
                sum = sum + load(dg + b * this->geometry.row);
          }
          store_units(to, sum, this->s.hidden - unit);
        }
    });
  }

  template <class F>
  void for_own_runs(Slots slots, ptrdiff_t units, int thread, F visit) const {
    for_thread_runs(Cell::kSlots, slots, units, f.plan.threads(), thread, visit);
  }

  // The runs once for each panel of an operand of `width` columns: a panel stays in the second-level cache for all of
  // them, and dG, which passes by once for each, is a fraction of it.
  template <class F>
  void for_own_panels(Slots slots, ptrdiff_t units, ptrdiff_t width, int thread, T* weight, F visit) const {
    for (ptrdiff_t panel = 0; panel < panel_count<T>(width); ++panel) {
      Range run{};  // the one before: of a column, and of a count
      T* to = nullptr;
      for_own_runs(slots, units, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
        T* const next = weight + matrix_row * width;
        if (to != nullptr) visit(panel, run.begin, to, run.end, next);
        run = {column, count};
        to = next;
      });
      if (to != nullptr) visit(panel, run.begin, to, run.end, nullptr);
    }
  }

  // A token's gradients are added up before the one small product that they all share.
  void sum_by_token(ptrdiff_t t0, ptrdiff_t t1, ptrdiff_t column) const {
    for (ptrdiff_t t = t1; t-- > t0;)
      for (ptrdiff_t b = 0; b < s.count(t); ++b) {
        T* to = by_token + f.tokens[s.place(t) + b] * geometry.row + column;
        const T* from = saved_at(t, b) + column;
        for (ptrdiff_t i = 0; i < kBlock; i += kLanes<T>) store(to + i, load(to + i) + load(from + i));
      }
  }

  void zero_by_token(int thread) const {
    for_own_runs(Cell::kInput, s.hidden, thread, [&](ptrdiff_t column, ptrdiff_t, ptrdiff_t) {
      for (ptrdiff_t v = 0; v < s.vocabulary; ++v)
        for (ptrdiff_t i = 0; i < kBlock; i += kLanes<T>) store(by_token + v * geometry.row + column + i, Vec<T>{});
    });
  }

  FASTRNN_APART void paired_tokens(int thread) const {
    if constexpr (std::is_same_v<T, float>) {
      RowPair* pairs = this->pairs_of(thread);
      const ptrdiff_t count = operands.pairs_of(s.vocabulary);
      list_pairs(pairs, {by_token, 0, geometry.row}, {f.table, 0, s.inputs}, s.vocabulary, count);
      add_pairs(pairs, count, Cell::kInput, s.hidden, s.inputs, thread, f.grads.input);
    }
  }

  void token_gradients(int thread) const {
    if (f.grads.input != nullptr && operands.paired())
      paired_tokens(thread);
    else if (f.grads.input != nullptr)
      for_own_runs(Cell::kInput, s.hidden, thread, [&](ptrdiff_t column, ptrdiff_t matrix_row, ptrdiff_t count) {
        T* const to = f.grads.input + matrix_row * s.inputs;
        const Rows<const T> sums{by_token + column, 0, geometry.row};
        outer_product<T>({1, s.vocabulary, sums, {f.table, 0, s.inputs}, to, s.inputs, count, s.inputs});
      });
    if (f.dtable == nullptr) return;
    const Range rows = part(s.vocabulary, f.plan.threads(), thread);
    const auto add = [&](Rows<const T> sums, Range of) {
      T* to = f.dtable + of.begin * s.inputs;
      sums.p += operands.cells(Cell::kInput.first * kBlock);
      through(Cell::kInput, geometry.blocks, 1, of.end - of.begin, sums, {to, 0, s.inputs}, {to, 0, s.inputs}, s.inputs,
              input_panels);
    };
    if constexpr (std::is_same_v<T, float>)
      if (operands.paired())
        return balanced(rows, kRowBlock, [&](ptrdiff_t v0, ptrdiff_t v1) {
          T* const cells = this->paired_panel + thread * this->panel_size();
          pair_grid(cells, geometry.row / 2, {by_token + v0 * geometry.row, 0, geometry.row}, 1, v1 - v0, geometry.row);
          add({cells, 0, geometry.row / 2}, {v0, v1});
        });
    add({by_token + rows.begin * geometry.row, 0, geometry.row}, rows);
  }
};

}  // namespace fastrnn::FASTRNN_ISA
