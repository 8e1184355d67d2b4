// The memory of a backward pass, and what it lays out by chunk: packed rows, states formed again.
#pragma once

#include "kernels/norm.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ChunkMemory : Pass<Cell, T, Backward<T>> {
  using Base = Pass<Cell, T, Backward<T>>;
  using Of = Traits<Cell>;
  using Base::f, Base::s, Base::geometry, Base::operands, Base::input_panels, Base::feed_panels;
  // Values that are formed again by chunk: the states but h, and what the cell makes for its products.
  static constexpr int kAgain = Cell::kStates - 1 + Cell::kMade;
  static constexpr bool kReadsHidden = Of::feeds_from(Operand::kBefore, 0);

  StateSteps states;
  T *units, *gain, *by_token, *zeros;
  T *carried, *by_operand;  // [states][B, padded]; the latter of a step, if its rows are shared out apart
  // Of a chunk; two of each, as threads may be a chunk apart: the rows of x and of h(t-1), packed for the weight
  // gradients, and [kAgain][chunk + 1][B, padded].
  T *packed_x[2], *packed_h[2], *again[2];
  T* terms[2];  // of the gradients of gains: [chunk, B, row]
  // Cells: of dG of a chunk, two of them, [chunk, B, row / 2] in the order of `saved`; and of each thread, of the depth
  // of weight gradients: its runs of dG, [runs][depth][16], and a panel of the other operand.
  T *paired_dg[2], *paired_runs, *paired_panel, *paired_list;  // and the pairs
  ptrdiff_t used;

  explicit ChunkMemory(const Backward<T>& args) : Base(args), states(state_steps<Cell>(s.steps, args.plan.chunk)) {
    Scratch<T> scratch{args.scratch};
    units = scratch.take(geometry.padded * Of::kUnits);
    gain = scratch.take(Of::kByRow ? geometry.padded * Cell::kSlots : 0);
    carried = scratch.take(Cell::kStates * s.rows * geometry.padded);
    by_operand = scratch.take(Of::kByRow ? Cell::kStates * s.rows * geometry.padded : 0);
    by_token = scratch.take(s.vocabulary * geometry.row);
    zeros = scratch.take(zero_count());
    const ptrdiff_t rows = f.plan.chunk * s.rows;
    for (int i = 0; i < 2; ++i) {
      packed_x[i] = scratch.take(f.plan.panel_sets() * packed_x_size());
      packed_h[i] = scratch.take(f.plan.panel_sets() * packed_h_size());
      paired_dg[i] = scratch.take(operands.paired() ? rows * geometry.row / 2 : 0);
      again[i] = scratch.take(kAgain * (rows + s.rows) * geometry.padded);
      terms[i] = scratch.take(Of::kByRow ? rows * geometry.row : 0);
    }
    paired_runs = scratch.take(operands.paired() ? f.plan.threads() * runs_size() : 0);
    paired_panel = scratch.take(operands.paired() ? f.plan.threads() * panel_size() : 0);
    paired_list = scratch.take(operands.paired() ? f.plan.threads() * list_size() : 0);
    used = scratch.used;
  }
  // And the rows that are packed for it.
  void use_panels(int row_group) {
    Base::use_panels(row_group);
    for (int i = 0; i < 2; ++i) packed_x[i] += row_group * packed_x_size(), packed_h[i] += row_group * packed_h_size();
  }
  // Few runs of gate columns pass over x; for up to two on a thread it is read where it lies.
  bool packs_x() const {
    return !operands.paired() && s.vocabulary == 0 && geometry.blocks * Cell::kInput.count > 2 * f.plan.threads();
  }
  bool packs_h() const { return !operands.paired() && kReadsHidden; }
  ptrdiff_t packed_x_size() const { return packs_x() ? f.plan.chunk * s.rows * round_to_block(s.inputs) : 0; }
  ptrdiff_t packed_h_size() const { return packs_h() ? f.plan.chunk * s.rows * round_to_block(geometry.output) : 0; }

  // The most cells of a weight gradient's depth: rows of a step are paired, an odd one with zeros, so that a step gives
  // the same sums in any chunk.
  ptrdiff_t most_pairs() const {
    return max_of(f.plan.chunk * operands.pairs_of(s.rows), operands.pairs_of(s.vocabulary));
  }
  ptrdiff_t runs_size() const {
    return ceil_div(geometry.blocks * Cell::kSlots, f.plan.threads()) * kBlock * most_pairs();
  }
  ptrdiff_t panel_size() const { return max_of(kTileVectors * kLanes<T> * most_pairs(), kRowBlock * geometry.row / 2); }
  ptrdiff_t list_size() const {
    return round_to_block(most_pairs() * static_cast<ptrdiff_t>(sizeof(RowPair) / sizeof(T)));
  }
  RowPair* pairs_of(int thread) const { return reinterpret_cast<RowPair*>(paired_list + thread * list_size()); }
  T* dg_at(ptrdiff_t t, ptrdiff_t b) const {
    const ptrdiff_t chunk = (s.steps - 1 - t) / f.plan.chunk, last = s.steps - chunk * f.plan.chunk - 1;
    return paired_dg[chunk % 2] + (s.place(t) - s.place(last) + b) * (geometry.row / 2);
  }
  ptrdiff_t zero_count() const { return max_of(kGroupColumns, round_to_block(s.inputs)); }
  T* saved_at(ptrdiff_t t, ptrdiff_t b) const { return f.saved + (s.place(t) + b) * geometry.row; }
  // Row 0 of state i >= 1 before step t of the chunk that ends with t1, or (i >= kStates) of what step t has made.
  T* again_at(int i, ptrdiff_t t, ptrdiff_t t1) const {
    const ptrdiff_t t0 = max_of(0, t1 - f.plan.chunk);
    return again[chunk_of(t1) % 2] + ((i - 1) * (f.plan.chunk + 1) + t - t0) * s.rows * geometry.padded;
  }
  const T* kept_at(int i, ptrdiff_t t) const {
    return f.stash + ((i - 1) * states.kept() + states.place(t)) * s.rows * geometry.padded;
  }
  // Some slots of dG as cells, for the products of later stages, of the step before and of the chunk.
  FASTRNN_APART void pair_gradients(ptrdiff_t t, const BatchRows& rows, Range blocks, Slots slots) const {
    if constexpr (std::is_same_v<T, float>) {
      if (!operands.paired()) return;
      const ptrdiff_t count = min_of(slots.count, Cell::kSlots - slots.first);
      for (ptrdiff_t b = rows.begin; b < rows.end; b += rows.step) {
        const T* from = saved_at(t, b);
        T* to = dg_at(t, b);
        for (ptrdiff_t block = blocks.begin; block < blocks.end; ++block) {
          const ptrdiff_t at = (block * Cell::kSlots + slots.first) * kBlock;
          pair_row(to + at / 2, from + at, count * kBlock);
        }
      }
    }
  }

  Rows<const T> hidden_before(ptrdiff_t t) const {
    if (t == 0) return {f.initial[0], 0, f.initial_stride[0]};
    return s.at(f.y, t - 1);
  }
  // In the order of the rows of `saved`, from the last step of the chunk on.
  T* terms_at(ptrdiff_t t, ptrdiff_t b, ptrdiff_t t1) const {
    return terms[chunk_of(t1) % 2] + (s.place(t) - s.place(t1 - 1) + b) * geometry.row;
  }
  T* carried_at(int i, ptrdiff_t b) const { return carried + (i * s.rows + b) * geometry.padded; }
  // dG of some slots, steps ascending; as cells.
  Rows<const T> gradients(ptrdiff_t t, ptrdiff_t b, Slots slots) const {
    if (operands.paired())
      return {dg_at(t, b) + slots.first * kBlock / 2, -s.rows * geometry.row / 2, geometry.row / 2};
    return {saved_at(t, b) + slots.first * kBlock, -s.rows * geometry.row, geometry.row};
  }

  ptrdiff_t chunk_of(ptrdiff_t t1) const { return (s.steps - t1) / f.plan.chunk; }

  // States before the steps of [t0, t1) and what they made, again from the gates, by the equations of forward.
  template <bool kZones>
  void recall(ptrdiff_t t0, ptrdiff_t t1, const Share& share) const {
    using V = Vec<T>;
    if constexpr (kAgain == 0) return;
    const BatchRows rows = share.rows.below(s.count(t0));
    for (ptrdiff_t b = rows.begin; b < rows.end; b += rows.step)
      for (ptrdiff_t block = share.blocks.begin; block < share.blocks.end; ++block)
#pragma GCC unroll 1
        for (ptrdiff_t i = 0; i < kBlock; i += kLanes<T>) {
          const ptrdiff_t unit = block * kBlock + i, at = b * geometry.padded + unit;
          V state[Cell::kStates], value[Of::kMade];
          for (int j = 1; j < Cell::kStates; ++j) {
            state[j] = load(kept_at(j, t0) + at);
            store(again_at(j, t0, t1) + at, state[j]);
          }
          for (ptrdiff_t t = t0; t < min_of(t1, s.length(b)); ++t) {
            const T* slots = saved_at(t, b) + block * kBlock * Cell::kSlots + i;
            V a[Cell::kSlots] = {};
            for (int g = 0; g < Cell::kSlots; ++g)  // another thread may be writing the slot of a projection already
              if (!Cell::kProjects || !Of::has(Cell::gradients_in(Of::kLast), g)) a[g] = load(slots + g * kBlock);
            if constexpr (kZones && !Cell::kHiddenIsDirect) state[0] = V{};
            if constexpr (Cell::kHiddenIsDirect) {
              const Rows<const T> hidden = hidden_before(t);
              state[0] = load_units(hidden.p + b * hidden.inner + unit, s.hidden - unit);
            }
            ZoneOut<Cell, Of::made_in(1), kZones, T> zone(f.noise, s, t, b, unit, s.hidden - unit);
            zone.keep(state);
            Cell::recall(a, state, value);
            zone.forward(state);
            if (Of::drops_made() && f.noise.drop.p != nullptr)
              value[0] = value[0] * dropped_units(f.noise, b, unit, s.hidden - unit);
            for (int j = 1; j < Cell::kStates; ++j) store(again_at(j, t + 1, t1) + at, state[j]);
            for (int j = 0; j < Cell::kMade; ++j) store(again_at(Cell::kStates + j, t, t1) + at, value[j]);
          }
        }
  }

  // x and h(t-1) of steps [t0, t1) in the order of the weight gradients.
  void pack_chunk(ptrdiff_t t0, ptrdiff_t t1, int thread) const {
    const ptrdiff_t buffer = chunk_of(t1) % 2, total = s.between(t0, t1);
    if (packs_x()) {
      const Range panels = part(panel_count<T>(s.inputs), packers(), thread % packers());
      if (s.ragged())
        pack_grid<T>(packed_x[buffer], total, 0, s.at(f.x, t1 - 1), 1, total, s.inputs, panels);
      else
        pack_grid<T>(packed_x[buffer], total, 0, {f.x.p + (t1 - 1) * f.x.outer, -f.x.outer, f.x.inner}, t1 - t0, s.rows,
                     s.inputs, panels);
    }
    if (!packs_h()) return;
    const Range panels = part(panel_count<T>(geometry.output), packers(), thread % packers());
    ptrdiff_t at = 0;
    for (ptrdiff_t t = t1; t-- > t0; at += s.count(t)) {
      const Rows<const T> read = f.noise.drop.p == nullptr
                                     ? hidden_before(t)
                                     : Rows<const T>{f.noise.at(s, t), 0, round_to_block(geometry.output)};
      pack_grid<T>(packed_h[buffer], total, at, read, 1, s.count(t), geometry.output, panels);
    }
  }

  // A column of dG, in the order of the chains, of the chunk that ends with t1.
  Rows<const T> of_chunk(ptrdiff_t t1, ptrdiff_t column) const {
    return {saved_at(t1 - 1, 0) + column, 0, geometry.row};
  }

  int packers() const { return f.plan.threads() / f.plan.panel_sets(); }  // threads that pack for each other
  void pack_input_panels(int thread) const {
    constexpr ptrdiff_t U = kLanes<T>;
    const ptrdiff_t depth = geometry.blocks * Cell::kInput.count * kBlock;
    ptrdiff_t turn = 0;
    balanced({0, ceil_div(s.inputs, U)}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
      if (turn++ % packers() == thread % packers())
        pack_rows(input_panels + v0 * U * operands.cells(depth), f.weights.input, s.inputs, s.hidden, Cell::kInput,
                  geometry.blocks, {v0 * U, v1 * U}, operands);
    });
  }
};

}  // namespace fastrnn::FASTRNN_ISA
