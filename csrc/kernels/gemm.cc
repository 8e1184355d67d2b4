// Every register tile of this instruction set, and the loops around them.
#include "kernels/gemm.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
constexpr Tiles<T> Tiles<T>::numbers = make_tiles<NumberCells<T>>();
template struct Tiles<float>;
template struct Tiles<double>;

// Rows of b that lie a multiple of 512 bytes apart meet in few sets of the first-level cache: a panel of them would
// come from the second level for every tile.  So it is copied where a copy fits the first level and serves four tiles
// or more (Zen 3, 448 rows, 512 inputs, 256 outputs: both gradients of a linear layer 1.16x).
constexpr ptrdiff_t kCopyBytes = 32768;
template <class T>
bool worth_copying(ptrdiff_t stride, ptrdiff_t depth, ptrdiff_t rows) {
  constexpr ptrdiff_t kBytes = sizeof(T);
  return stride * kBytes % 512 == 0 && depth > 64 && rows >= 4 * kTileRows &&
         depth * kTileVectors * kLanes<T> * kBytes <= kCopyBytes;
}
// Some vectors of each row of a grid, side by side; of the last one, `last` elements exist.
template <class T>
FASTRNN_INLINE void copy_panel(T* to, Rows<const T> from, ptrdiff_t outer, ptrdiff_t inner, ptrdiff_t vectors,
                               ptrdiff_t last) {
  constexpr ptrdiff_t U = kLanes<T>;
  for (ptrdiff_t i = 0; i < outer; ++i)
    for (ptrdiff_t j = 0; j < inner; ++j)
      for (ptrdiff_t v = 0; v < vectors; ++v, to += U) {
        const T* source = from.p + i * from.outer + j * from.inner + v * U;
        store(to, v == vectors - 1 && last != U ? load_n(source, last) : load(source));
      }
}

template <class T>
void product(const Product<T>& p) noexcept {
  constexpr ptrdiff_t U = kLanes<T>;
  if (p.outer <= 0 || p.inner <= 0 || p.columns <= 0) return;
  // Tiles are cut from one axis of the grid of rows: the batch, unless it is short.
  const bool along_inner = p.inner >= 4 || p.inner >= p.outer;
  const ptrdiff_t tiled = along_inner ? p.inner : p.outer, other = along_inner ? p.outer : p.inner;
  const auto stride = [&](const auto& rows) { return along_inner ? rows.inner : rows.outer; };
  const auto at = [&](const auto& rows, ptrdiff_t o, ptrdiff_t r) {
    return along_inner ? rows.p + o * rows.outer + r * rows.inner : rows.p + o * rows.inner + r * rows.outer;
  };
  const Pieces pieces({0, tiled}, kTileRows);
  const bool packed = p.b_stride == 0;
  const bool copied = !packed && p.runs == 1 && worth_copying<T>(p.b_stride, p.depth, tiled * other);
  alignas(64) T copy[kCopyBytes / sizeof(T)];
  Tile<T> t{};
  t.a_stride = stride(p.a);
  t.in_stride = stride(p.in);
  t.out_stride = stride(p.out);
  t.inner = p.depth;
  t.outer = p.runs;
  t.a_outer = p.run_stride;
  const ptrdiff_t vectors = ceil_div(p.columns, U);
  const ptrdiff_t panels = tiled <= kTileRows && !copied ? panels_at_once(static_cast<int>(tiled)) : 1;
  // Whole vectors in the panels that `balanced` leaves at their full width, which come first.
  const ptrdiff_t whole =
      min_of(p.columns / U, (vectors - ceil_div(vectors, kTileVectors) * (kTileVectors - 1)) * kTileVectors);
  ptrdiff_t done = 0;  // vectors that a tile of several panels has dealt with
  balanced({0, vectors}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    if (v0 < done) return;
    t.last = min_of(U, p.columns - (v1 - 1) * U);
    t.b = p.b + v0 * U * (packed ? p.depth * p.runs : 1);
    t.b_stride = packed ? (v1 - v0) * U : p.b_stride;
    t.b_outer = t.b_stride * p.depth;
    t.b_panel = kTileVectors * U * (packed ? p.depth * p.runs : 1);
    const bool across = panels > 1 && v0 + panels * kTileVectors <= whole;
    if (across) done = v0 + panels * kTileVectors;
    if (copied) {
      copy_panel(copy, {t.b, 0, t.b_stride}, 1, p.depth, v1 - v0, t.last);
      t.b = copy;
      t.b_stride = (v1 - v0) * U;
    }
    for (ptrdiff_t i = 0; i < pieces.count; ++i) {
      const Range rows = pieces.at(crosswise(i, pieces.count));
      const ptrdiff_t count = rows.end - rows.begin;
      const TileFunction<T> run =
          across ? p.tiles->across[count - 1] : p.tiles->find(count, v1 - v0, Layout::kRowMajor, t.last != U);
      for (ptrdiff_t o = 0; o < other; ++o) {
        t.a = at(p.a, o, rows.begin);
        t.in = at(p.in, o, rows.begin) + v0 * U;
        t.out = at(p.out, o, rows.begin) + v0 * U;
        run(t);
      }
    }
  });
}

template <class T>
void outer_product(const OuterProduct<T>& p) noexcept {
  constexpr ptrdiff_t U = kLanes<T>;
  if (p.outer <= 0 || p.inner <= 0) return;
  const bool flat = p.inner == 1;  // one row a step: the steps are the only loop
  const bool packed = p.b.inner == 0 && p.b.outer == 0;
  const bool copied = !packed && worth_copying<T>(p.b.inner, p.outer * p.inner, p.a_columns);
  alignas(64) T copy[kCopyBytes / sizeof(T)];
  ptrdiff_t index = 0;
  balanced({0, ceil_div(p.b_columns, U)}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    if (p.panel >= 0 && p.panel != index++) return;
    const ptrdiff_t width = (v1 - v0) * U, last = min_of(U, p.b_columns - (v1 - 1) * U);
    Rows<const T> b{p.b.p + v0 * U, p.b.outer, p.b.inner};
    if (packed) b = {p.b.p + v0 * U * p.outer * p.inner, p.inner * width, width};
    if (copied) {
      copy_panel(copy, b, p.outer, p.inner, v1 - v0, last);
      b = {copy, p.inner * width, width};
    }
    balanced({0, p.a_columns}, kTileRows, [&](ptrdiff_t j0, ptrdiff_t j1) {
      T* c = p.c + j0 * p.c_stride + v0 * U;
      // The sums of the next tile come from far: they are asked for while this one works.
      const T* next = j1 < p.a_columns ? c + (j1 - j0) * p.c_stride : p.next + v0 * U;
      if (j1 < p.a_columns || p.next != nullptr)
        for (ptrdiff_t j = 0; j < kTileRows; ++j)
          for (ptrdiff_t v = v0; v < v1; ++v) __builtin_prefetch(next + j * p.c_stride + (v - v0) * U);
      p.tiles->find(j1 - j0, v1 - v0, Layout::kColumnMajor,
                    last != U)({p.a.p + j0, flat ? p.a.outer : p.a.inner, b.p, flat ? b.outer : b.inner, c, p.c_stride,
                                c, p.c_stride, flat ? p.outer : p.inner, flat ? 1 : p.outer, p.a.outer, b.outer, last});
    });
  });
}

template <class T>
void pack_grid(T* to, ptrdiff_t total, ptrdiff_t at, Rows<const T> from, ptrdiff_t outer, ptrdiff_t inner,
               ptrdiff_t columns, Range panels) noexcept {
  constexpr ptrdiff_t U = kLanes<T>;
  ptrdiff_t index = 0;
  balanced({0, ceil_div(columns, U)}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    const ptrdiff_t panel = index++;
    if (panel < panels.begin || panel >= panels.end) return;
    copy_panel(to + (v0 * total + at * (v1 - v0)) * U, {from.p + v0 * U, from.outer, from.inner}, outer, inner, v1 - v0,
               min_of(U, columns - (v1 - 1) * U));
  });
}

#define FASTRNN_INSTANTIATE(T)                                     \
  template void product<T>(const Product<T>&) noexcept;            \
  template void outer_product<T>(const OuterProduct<T>&) noexcept; \
  template void pack_grid<T>(T*, ptrdiff_t, ptrdiff_t, Rows<const T>, ptrdiff_t, ptrdiff_t, ptrdiff_t, Range) noexcept;
FASTRNN_INSTANTIATE(float)
FASTRNN_INSTANTIATE(double)
#undef FASTRNN_INSTANTIATE

}  // namespace fastrnn::FASTRNN_ISA
