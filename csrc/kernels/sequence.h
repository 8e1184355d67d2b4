// The one time loop, for all cells: what forward and backward share.  A cell is a policy class, see cells/lstm.h and
// docs/decisions/0001-cell-contract.md.
//
// A row of `saved` holds the slots of one (step, batch row) as [hidden / 16][slot][16]: all slots of 16 units lie
// together, for every vector length.  "Columns" below count in that order.
#pragma once

#include <numeric>

#include "base/interrupt.h"
#include "base/threads.h"
#include "kernels/bfloat16.h"
#include "kernels/cell.h"
#include "kernels/grid.h"

namespace fastrnn::FASTRNN_ISA {

// Columns of `saved` that are worked on together: whole panels, and whole blocks of units of four slots.
inline constexpr ptrdiff_t kGroupColumns = std::lcm(kTileVectors * kLanes<float>, 4 * kBlock);

// Rows of the batch that pass over one panel before their pointwise: their dh stays in the first-level cache.
inline constexpr ptrdiff_t kRowBlock = 6 * kTileRows;

// Geometry of one layer.
template <class Cell>
struct Geometry {
  ptrdiff_t hidden, output;  // units, and those of h
  ptrdiff_t blocks, padded, row;
  ptrdiff_t inverses;  // where in a row 1 / deviation of each norm is kept
  explicit Geometry(const Shape& s, ptrdiff_t element_bytes)
      : hidden(s.hidden),
        output(Cell::kProjects ? s.output() : s.hidden),
        blocks(ceil_div(s.hidden, kBlock)),
        padded(blocks * kBlock),
        row(odd_lines((padded * Cell::kSlots) + round_to_block(Cell::kNorms.count), element_bytes)),
        inverses(padded * Cell::kSlots) {}
  // How many units a state has, and a stage, and the slots that are fed in it; how wide the operand of a feed is.
  ptrdiff_t units_of(int state) const { return state == 0 ? output : hidden; }
  ptrdiff_t units_in(int stage) const { return Traits<Cell>::projects_in(stage) ? output : hidden; }
  ptrdiff_t blocks_in(int stage) const { return Traits<Cell>::projects_in(stage) ? ceil_div(output, kBlock) : blocks; }
  static constexpr bool reads_hidden(const Feed& feed) { return feed.operand != Operand::kMade && feed.index == 0; }
  ptrdiff_t width_of(const Feed& feed) const { return reads_hidden(feed) ? output : hidden; }
  ptrdiff_t panel_size(const Feed& feed) const {
    return round_to_block(width_of(feed)) * blocks_in(feed.stage) * kBlock * feed.slots.count;
  }
  // A product of several blocks has columns that lie together only if it feeds all slots.
  static constexpr ptrdiff_t kBlocksPerGroup =
      Traits<Cell>::feeds_all_slots() ? max_of(1, kGroupColumns / (kBlock * Cell::kSlots)) : 1;
};

// Rows of the batch: begin, begin + step and so on, below `end`.
struct BatchRows {
  ptrdiff_t begin, end, step = 1;
  ptrdiff_t count() const {
    if (step == 1) return max_of(0, end - begin);  // no division on the common path
    return begin < end ? ceil_div(end - begin, step) : 0;
  }
  BatchRows below(ptrdiff_t limit) const { return {begin, min_of(end, limit), step}; }
  BatchRows counted(ptrdiff_t from, ptrdiff_t to) const {  // some of them, by their place among all
    return {begin + from * step, min_of(end, begin + to * step), step};
  }
  ptrdiff_t crossed(ptrdiff_t i, ptrdiff_t n) const { return begin + crosswise(i, n) * step; }  // n: count()
  BatchRows part_of(int parts, int index) const {
    const Range of = part(count(), parts, index);
    return counted(of.begin, of.end);
  }
  // The same rows of what has all rows of the batch.
  template <class T>
  Rows<T> of(const Rows<T>& a) const {
    return {a.p + begin * a.inner, a.outer, a.inner * step};
  }
};

// Calls f(rows) for nearly equal pieces, from whose first row to the last are at most kRowBlock.
template <class F>
FASTRNN_INLINE void for_row_blocks(const BatchRows& rows, F f) {
  const ptrdiff_t most = rows.step == 1 ? kRowBlock : max_of(1, kRowBlock / rows.step);
  balanced({0, rows.count()}, most, [&](ptrdiff_t from, ptrdiff_t to) { f(rows.counted(from, to)); });
}

// What forward and backward have in common: the call, and memory for its weights as panels, of which each row group may
// have its own.  Args: Forward or Backward.
template <class Cell, class T, class Args>
struct Pass {
  using Of = Traits<Cell>;
  const Args& f;
  const Shape& s;
  Geometry<Cell> geometry;
  Operands<T> operands;
  T *input_panels, *feed_panels[Of::kFeeds + 1];
  ptrdiff_t panel_set, panels_used;

  explicit Pass(const Args& args) : f(args), s(args.shape), geometry(s, sizeof(T)), operands(args.plan.pairs) {
    Scratch<T> panels{args.panels};
    input_panels = panels.take(round_to_block(s.inputs) * geometry.padded * Cell::kInput.count);
    for (int i = 0; i < Of::kFeeds; ++i) feed_panels[i] = panels.take(geometry.panel_size(Cell::kFeeds.at[i]));
    panel_set = panels.used;
    panels_used = panel_set * f.plan.panel_sets();
  }
  // From now on the panels are those of a row group.
  void use_panels(int row_group) {
    input_panels += row_group * panel_set;
    for (int i = 0; i < Of::kFeeds; ++i) feed_panels[i] += row_group * panel_set;
  }
};

// The share of one thread: rows of the batch, blocks of units, blocks of h.
struct Share {
  BatchRows rows;
  Range blocks, outputs;
  Range of(bool projected) const { return projected ? outputs : blocks; }
};
// Rows of unlike lengths, which are sorted, are dealt out like cards: at every step each row group has as many.
FASTRNN_INLINE BatchRows rows_of_group(const Plan& plan, int row_group, const Shape& s) {
  if (s.ragged()) return {row_group, s.rows, plan.row_groups};
  const Range own = part(s.rows, plan.row_groups, row_group);
  return {own.begin, own.end};
}
template <class Cell>
FASTRNN_INLINE Share share_of(const Plan& plan, int thread, const Shape& s, const Geometry<Cell>& geometry) {
  const int row_group = thread / plan.unit_groups, unit_group = thread % plan.unit_groups;
  return {rows_of_group(plan, row_group, s), part(geometry.blocks, plan.unit_groups, unit_group),
          part(geometry.blocks_in(Traits<Cell>::kLast), plan.unit_groups, unit_group)};
}

// The barriers of one call: one for the whole team and one for each row group.
struct Barriers {
  explicit Barriers(const Plan& plan) : team(plan.threads()), row_groups(plan.row_groups) {
    for (int i = 0; i < row_groups; ++i) new (storage[i]) Barrier(plan.unit_groups);
  }
  ~Barriers() {
    for (int i = 0; i < row_groups; ++i) group(i)->~Barrier();
  }
  Barriers(const Barriers&) = delete;
  Barriers& operator=(const Barriers&) = delete;
  Barrier* group(int i) { return reinterpret_cast<Barrier*>(storage[i]); }
  Barrier team;

 private:
  const int row_groups;
  alignas(Barrier) unsigned char storage[kMostRowGroups][sizeof(Barrier)];
};

// Runs one pass, ForwardRun or BackwardRun, on its team.  True: left early.
template <class Run>
FASTRNN_INLINE bool run_pass(const Run& run) {
  Barriers barriers(run.f.plan);
  Interrupt interrupt(run.f.interrupted);
  auto body = [&](int thread) noexcept {
    Run own(run);
    if (own.f.plan.own_panels) own.use_panels(thread / own.f.plan.unit_groups);
    own.run(thread, barriers, interrupt);
  };
  run_team(run.f.plan.threads(), body);
  return interrupt.stopped();
}

// Rows of a weight matrix, `hidden` for each gate, that feed the slots of blocks [b0, b1), in column order: calls
// f(column, matrix row, count).
template <class F>
FASTRNN_INLINE void for_runs(ptrdiff_t hidden, Slots slots, Range blocks, F f) {
  for (ptrdiff_t b = blocks.begin; b < blocks.end; ++b)
    for (int g = 0; g < slots.count; ++g)
      f(((b - blocks.begin) * slots.count + g) * kBlock, slots.gate_of(g) * hidden + b * kBlock,
        min_of(kBlock, hidden - b * kBlock));
}

// The runs of kBlock rows of a weight matrix that are one thread's: f(column, matrix row, count).
template <class F>
FASTRNN_INLINE void for_thread_runs(int cell_slots, Slots slots, ptrdiff_t units, int threads, int thread, F f) {
  if (slots.count == 0) return;
  const Range own = part(ceil_div(units, kBlock) * slots.count, threads, thread);
  for (ptrdiff_t run = own.begin; run < own.end; ++run) {
    const ptrdiff_t block = run / slots.count, slot = run % slots.count;
    f((block * cell_slots + slots.first + slot) * kBlock,
      slots.gate_of(static_cast<int>(slot)) * units + block * kBlock, min_of(kBlock, units - block * kBlock));
  }
}

// A weight gradient in pairs of rows: weight += dG' operand.  Null: a pair of zeros.
struct RowPair {
  const float *dg, *row;    // of dG, from its first column on; of the operand
  ptrdiff_t dg_step, step;  // from there to the second row; 0: there is none
};
// Lists rows (0, 1), (2, 3), ... of dG and of an operand, filled up to `pairs`.
void list_pairs(RowPair* to, Rows<const float> dg, Rows<const float> operand, ptrdiff_t rows, ptrdiff_t pairs) noexcept;
struct PairedGradient {
  const RowPair* pairs;
  ptrdiff_t depth;  // pairs
  int cell_slots;
  Slots slots;
  ptrdiff_t units, width;  // of the matrix: rows of a gate, columns
  int threads, thread;
  float *weight, *runs, *panel;  // [gates * units, width]; scratch for cells, see ChunkMemory
  const Tiles<float>* tiles;
};
void add_paired(const PairedGradient& g) noexcept;

// Packs w [G*H, depth] transposed, for in + x w': panels of the columns of one group.
template <class T>
void pack_transposed(T* to, const T* w, ptrdiff_t depth, ptrdiff_t hidden, Slots slots, Range blocks,
                     const Operands<T>& operands) noexcept;

// Packs w [G*H, columns] for dG w: its rows become the depth, in column order; columns [c0, c1), zeros to a full
// vector.
template <class T>
void pack_rows(T* to, const T* w, ptrdiff_t columns, ptrdiff_t hidden, Slots slots, ptrdiff_t blocks, Range range,
               const Operands<T>& operands) noexcept;

// Rows of `saved`, `row` apart, from what they begin with.
template <class T>
void begin_rows(const Begin<const T>& from, const std::int32_t* of, const BatchRows& rows, Range blocks, T* saved,
                ptrdiff_t row) noexcept;
// The gradients of step t, of which `saved` is the first row, into those by what they begin with.
template <class T>
void add_to_begin(const Shape& s, const Begin<T>& to, ptrdiff_t t, const BatchRows& rows, Rows<const T> saved) noexcept;

// Where the states of a call live.  A product may read a state of a step while other threads make the next one.
template <class Cell>
FASTRNN_INLINE StateSteps state_steps(ptrdiff_t steps, ptrdiff_t keep) {
  if (!Traits<Cell>::state_is_operand()) return {steps, keep, 1};
  return {steps, min_of(keep, 1), 2};
}

// The cell's unit parameters [kUnits, hidden] of some blocks, with zeros past `hidden`.
template <class Cell, class T>
FASTRNN_INLINE void pack_units(T* to, const T* from, ptrdiff_t hidden, ptrdiff_t padded, Range blocks) {
  for (ptrdiff_t k = 0; k < Traits<Cell>::kUnits; ++k)
    for (ptrdiff_t unit = blocks.begin * kBlock; unit < blocks.end * kBlock; ++unit)
      to[k * padded + unit] = unit < hidden ? from[k * hidden + unit] : T(0);
}

// A row in the order of its slots, of what each gate's units have of their own: biases, gains.
template <class Cell, class T>
FASTRNN_INLINE void clear_slots(T* row, Range blocks) {
  for (ptrdiff_t i = blocks.begin * kBlock * Cell::kSlots; i < blocks.end * kBlock * Cell::kSlots; ++i) row[i] = T(0);
}
template <class Cell, class T>
FASTRNN_INLINE void add_slots(T* row, const T* from, Slots slots, ptrdiff_t hidden, Range blocks) {
  if (from == nullptr) return;
  for_runs(hidden, slots, blocks, [&](ptrdiff_t at, ptrdiff_t matrix_row, ptrdiff_t count) {
    const ptrdiff_t block = blocks.begin + at / (kBlock * slots.count), slot = slots.first + at / kBlock % slots.count;
    for (ptrdiff_t i = 0; i < count; ++i) row[(block * Cell::kSlots + slot) * kBlock + i] += from[matrix_row + i];
  });
}
template <class Cell, class T>
FASTRNN_INLINE void pack_gains(T* row, const Weights<T>& weights, ptrdiff_t hidden, Range blocks) {
  clear_slots<Cell>(row, blocks);
  add_slots<Cell>(row, weights.input_gain, Cell::kInput, hidden, blocks);
  add_slots<Cell>(row, weights.inner_gain, Cell::kInner, hidden, blocks);
  for_constants<Traits<Cell>::kFeeds>(
      [&](auto k) { add_slots<Cell>(row, weights.recurrent_gain, Cell::kFeeds.at[k].slots, hidden, blocks); });
}

// to[k][0 .. count) += every row, in order.
template <int kSums, class T>
FASTRNN_INLINE void add_rows(T* const (&to)[kSums], Rows<const T> from, ptrdiff_t rows, ptrdiff_t count) {
  constexpr int kVectors = kBlock / kLanes<T>;
  Vec<T> sum[kSums][kVectors];
  for (int k = 0; k < kSums; ++k)
    for (int v = 0; v < kVectors; ++v) sum[k][v] = load_units(to[k] + v * kLanes<T>, count - v * kLanes<T>);
  for (ptrdiff_t i = 0; i < rows; ++i)
    for (int v = 0; v < kVectors; ++v) {
      const Vec<T> row = load(from.p + i * from.inner + v * kLanes<T>);
      for (int k = 0; k < kSums; ++k) sum[k][v] = sum[k][v] + row;
    }
  for (int k = 0; k < kSums; ++k)
    for (int v = 0; v < kVectors; ++v) store_units(to[k] + v * kLanes<T>, sum[k][v], count - v * kLanes<T>);
}

// Calls f(row, unit) for every vector of units in some blocks.
template <class T, class F>
FASTRNN_INLINE void for_units(const BatchRows& rows, Range blocks, F f) {
  for (ptrdiff_t b = rows.begin; b < rows.end; b += rows.step)
    for (ptrdiff_t unit = blocks.begin * kBlock; unit < blocks.end * kBlock; unit += kLanes<T>) f(b, unit);
}

// What a row of the side sequence has, which may be missing.
template <class T>
FASTRNN_INLINE Vec<T> side_units(Rows<const T> side, ptrdiff_t b, ptrdiff_t unit, ptrdiff_t valid) {
  return side.p == nullptr ? Vec<T>{} : load_units(side.p + b * side.inner + unit, valid);
}

// Where a slot of a unit is in a row of `saved`.
template <class Cell>
FASTRNN_INLINE ptrdiff_t slot_of(ptrdiff_t unit, ptrdiff_t slot) {
  return (unit / kBlock * Cell::kSlots + slot) * kBlock + unit % kBlock;
}

}  // namespace fastrnn::FASTRNN_ISA
