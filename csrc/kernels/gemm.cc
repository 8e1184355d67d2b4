// Every register tile of this instruction set, and the loops around them.
#include "kernels/gemm.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
constexpr Tiles<T> Tiles<T>::numbers = make_tiles<NumberCells<T>>();
template struct Tiles<float>;
template struct Tiles<double>;

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
  const bool packed = p.b_stride == 0;
  Tile<T> t{};
  t.a_stride = stride(p.a);
  t.in_stride = stride(p.in);
  t.out_stride = stride(p.out);
  t.inner = p.depth;
  t.outer = p.runs;
  t.a_outer = p.run_stride;
  const ptrdiff_t vectors = ceil_div(p.columns, U);
  const ptrdiff_t panels = tiled <= kTileRows ? panels_at_once(static_cast<int>(tiled)) : 1;
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
    balanced({0, tiled}, kTileRows, [&](ptrdiff_t r0, ptrdiff_t r1) {
      const TileFunction<T> run =
          across ? p.tiles->across[r1 - r0 - 1] : p.tiles->find(r1 - r0, v1 - v0, Layout::kRowMajor, t.last != U);
      for (ptrdiff_t o = 0; o < other; ++o) {
        t.a = at(p.a, o, r0);
        t.in = at(p.in, o, r0) + v0 * U;
        t.out = at(p.out, o, r0) + v0 * U;
        run(t);
      }
    });
  });
}

template <class T>
void outer_product(const OuterProduct<T>& p) noexcept {
  constexpr ptrdiff_t U = kLanes<T>;
  if (p.outer <= 0 || p.inner <= 0) return;
  const bool flat = p.inner == 1;  // one row a step: the steps are the only loop
  const bool packed = p.b.inner == 0 && p.b.outer == 0;
  ptrdiff_t index = 0;
  balanced({0, ceil_div(p.b_columns, U)}, kTileVectors, [&](ptrdiff_t v0, ptrdiff_t v1) {
    if (p.panel >= 0 && p.panel != index++) return;
    const ptrdiff_t width = (v1 - v0) * U, last = min_of(U, p.b_columns - (v1 - 1) * U);
    const Rows<const T> b = packed ? Rows<const T>{p.b.p + v0 * U * p.outer * p.inner, p.inner * width, width}
                                   : Rows<const T>{p.b.p + v0 * U, p.b.outer, p.b.inner};
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
    const ptrdiff_t width = (v1 - v0) * U;
    T* row = to + v0 * U * total + at * width;
    for (ptrdiff_t i = 0; i < outer; ++i)
      for (ptrdiff_t j = 0; j < inner; ++j, row += width)
        for (ptrdiff_t v = v0; v < v1; ++v) {
          const T* source = from.p + i * from.outer + j * from.inner + v * U;
          const ptrdiff_t valid = columns - v * U;
          store(row + (v - v0) * U, valid < U ? load_n(source, valid) : load(source));
        }
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
