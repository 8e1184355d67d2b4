// What the time loop needs and does not depend on the cell.
#include "kernels/sequence.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void pack_transposed(T* to, const T* w, ptrdiff_t depth, ptrdiff_t hidden, Slots slots, Range blocks) noexcept {
  constexpr ptrdiff_t U = kLanes<T>;
  balanced({0, (blocks.end - blocks.begin) * slots.count * kBlock / U}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    transpose_rows<T>(to + v0 * U * depth, (v1 - v0) * U, (v1 - v0) * U, depth, false, [&](ptrdiff_t i) -> const T* {
      const ptrdiff_t column = v0 * U + i, run = column / kBlock;
      const ptrdiff_t unit = (blocks.begin + run / slots.count) * kBlock + column % kBlock;
      const ptrdiff_t gate = slots.gate_of(static_cast<int>(run % slots.count));
      return unit < hidden ? w + (gate * hidden + unit) * depth : nullptr;
    });
  });
}

template <class T>
void pack_rows(T* to, const T* w, ptrdiff_t columns, ptrdiff_t hidden, Slots slots, ptrdiff_t blocks,
               Range range) noexcept {
  constexpr ptrdiff_t U = kLanes<T>;
  const ptrdiff_t depth = blocks * slots.count * kBlock;
  balanced({0, ceil_div(range.end - range.begin, U)}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    T* panel = to + v0 * U * depth;
    for_runs(hidden, slots, {0, blocks}, [&](ptrdiff_t k, ptrdiff_t matrix_row, ptrdiff_t count) {
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

#define FASTRNN_INSTANTIATE(T)                                                                 \
  template void pack_transposed<T>(T*, const T*, ptrdiff_t, ptrdiff_t, Slots, Range) noexcept; \
  template void pack_rows<T>(T*, const T*, ptrdiff_t, ptrdiff_t, Slots, ptrdiff_t, Range) noexcept;
FASTRNN_INSTANTIATE(float)
FASTRNN_INSTANTIATE(double)
#undef FASTRNN_INSTANTIATE

}  // namespace fastrnn::FASTRNN_ISA
