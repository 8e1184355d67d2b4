// What the time loop needs and does not depend on the cell.
#include "kernels/sequence.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void pack_transposed(T* to, const T* w, ptrdiff_t depth, ptrdiff_t hidden, Slots slots, Range blocks,
                     const Operands<T>& operands) noexcept {
  constexpr ptrdiff_t U = kLanes<T>;
  balanced({0, (blocks.end - blocks.begin) * slots.count * kBlock / U}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    const ptrdiff_t width = (v1 - v0) * U;
    transpose_cells(to + v0 * U * operands.cells(depth), width, width, depth, operands, [&](ptrdiff_t i) -> const T* {
      const ptrdiff_t column = v0 * U + i, run = column / kBlock;
      const ptrdiff_t unit = (blocks.begin + run / slots.count) * kBlock + column % kBlock;
      const ptrdiff_t gate = slots.gate_of(static_cast<int>(run % slots.count));
      return unit < hidden ? w + (gate * hidden + unit) * depth : nullptr;
    });
  });
}

template <class T>
void pack_rows(T* to, const T* w, ptrdiff_t columns, ptrdiff_t hidden, Slots slots, ptrdiff_t blocks, Range range,
               const Operands<T>& operands) noexcept {
  constexpr ptrdiff_t U = kLanes<T>;
  const ptrdiff_t depth = operands.cells(blocks * slots.count * kBlock);
  balanced({0, ceil_div(range.end - range.begin, U)}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    T* panel = to + v0 * U * depth;
    for_runs(hidden, slots, {0, blocks}, [&](ptrdiff_t k, ptrdiff_t matrix_row, ptrdiff_t count) {
      if constexpr (std::is_same_v<T, float>)
        if (operands.paired()) {
          const ptrdiff_t first = range.begin + v0 * U, width = (v1 - v0) * U;
          const auto row = [&](ptrdiff_t i) { return i < count ? w + (matrix_row + i) * columns + first : nullptr; };
          for (ptrdiff_t i = 0; i < kBlock; i += 2)
            pair_rows(panel + (k + i) / 2 * width, row(i), row(i + 1), width, columns - first);
          return;
        }
      for (ptrdiff_t i = 0; i < kBlock; ++i)
        for (ptrdiff_t v = v0; v < v1; ++v) {
          const ptrdiff_t column = range.begin + v * U, valid = min_of(U, columns - column);
          const T* source = w + (matrix_row + i) * columns + column;
          store(panel + (k + i) * (v1 - v0) * U + (v - v0) * U, i >= count || valid <= 0 ? Vec<T>{}
                                                                : valid < U              ? load_n(source, valid)
                                                                                         : load(source));
        }
    });
  });
}

void list_pairs(RowPair* to, Rows<const float> dg, Rows<const float> operand, ptrdiff_t rows,
                ptrdiff_t pairs) noexcept {
  for (ptrdiff_t i = 0; i < pairs; ++i) {
    const ptrdiff_t b = 2 * i;
    const bool two = b + 1 < rows;
    to[i] = b < rows ? RowPair{dg.p + b * dg.inner, operand.p + b * operand.inner, two ? dg.inner : 0,
                               two ? operand.inner : 0}
                     : RowPair{};
  }
}

void add_paired(const PairedGradient& g) noexcept {
  constexpr ptrdiff_t U = kLanes<float>;
  // `width` columns from `column` on of a pair whose first row begins with `row`.
  const auto pair_columns = [](float* to, const float* row, ptrdiff_t step, ptrdiff_t column, ptrdiff_t width,
                               ptrdiff_t count) {
    const float* even = row == nullptr ? nullptr : row + column;
    pair_rows(to, even, step == 0 ? nullptr : even + step, width, count);
  };
  const auto for_own_runs = [&](auto f) { for_thread_runs(g.cell_slots, g.slots, g.units, g.threads, g.thread, f); };
  float* to = g.runs;
  for_own_runs([&](ptrdiff_t column, ptrdiff_t, ptrdiff_t) {
    for (ptrdiff_t i = 0; i < g.depth; ++i, to += kBlock) {
      pair_columns(to, g.pairs[i].dg, g.pairs[i].dg_step, column, kBlock, kBlock);
    }
  });
  balanced({0, ceil_div(g.width, U)}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    const ptrdiff_t first = v0 * U, lanes = (v1 - v0) * U;
    for (ptrdiff_t i = 0; i < g.depth; ++i) {
      pair_columns(g.panel + i * lanes, g.pairs[i].row, g.pairs[i].step, first, lanes, g.width - first);
    }
    const float* run = g.runs;
    for_own_runs([&](ptrdiff_t, ptrdiff_t matrix_row, ptrdiff_t count) {
      outer_product<float>({1,
                            g.depth,
                            {run, 0, kBlock},
                            {g.panel, 0, lanes},
                            g.weight + matrix_row * g.width + first,
                            g.width,
                            count,
                            min_of(lanes, g.width - first),
                            -1,
                            nullptr,
                            g.tiles});
      run += g.depth * kBlock;
    });
  });
}

template <class T>
void begin_rows(const Begin<const T>& from, const std::int32_t* of, const BatchRows& rows, Range blocks, T* saved,
                ptrdiff_t row) noexcept {
  for_units<T>(rows, blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
    store(saved + b * row + unit, load(from.rows.p + of[b] * from.rows.inner + unit));
  });
}
template <class T>
void add_to_begin(const Shape& s, const Begin<T>& to, ptrdiff_t t, const BatchRows& rows,
                  Rows<const T> saved) noexcept {
  const std::int32_t* const of = to.of + (s.ragged() ? s.place(t) : t);
  // Steps descend, and those that begin with the same follow each other unless rows have lengths of their own.
  const bool first = !s.ragged() && (t == s.steps - 1 || of[1] != of[0]);
  for_units<T>(rows, {0, ceil_div(s.hidden, kBlock)}, [&](ptrdiff_t b, ptrdiff_t unit) {
    T* const at = s.ragged() ? to.rows.p + of[b] * to.rows.inner + unit : moved(to.rows, of[0], b, unit).p;
    const Vec<T> d = load(saved.p + b * saved.inner + unit);
    store(at, first ? d : load(at) + d);
  });
}

#define FASTRNN_INSTANTIATE(T)                                                                                     \
  template void pack_transposed<T>(T*, const T*, ptrdiff_t, ptrdiff_t, Slots, Range, const Operands<T>&) noexcept; \
  template void pack_rows<T>(T*, const T*, ptrdiff_t, ptrdiff_t, Slots, ptrdiff_t, Range,                          \
                             const Operands<T>&) noexcept;                                                         \
  template void begin_rows<T>(const Begin<const T>&, const std::int32_t*, const BatchRows&, Range, T*,             \
                              ptrdiff_t) noexcept;                                                                 \
  template void add_to_begin<T>(const Shape&, const Begin<T>&, ptrdiff_t, const BatchRows&, Rows<const T>) noexcept;
FASTRNN_INSTANTIATE(float)
FASTRNN_INSTANTIATE(double)
#undef FASTRNN_INSTANTIATE

}  // namespace fastrnn::FASTRNN_ISA
