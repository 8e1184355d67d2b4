// Matrix products: one register tile that knows no cell, the loops around it, and packing.
//
// Every element of a product is one chain of fma over the depth, ascending, that starts from the value in `in`.  The
// depth may be cut into blocks (the element then passes through memory, exactly) but never into parallel chains, so
// tile shape, vector length, thread count and the other rows of the batch cannot change a bit.
#pragma once

#include <utility>

#include "base/args.h"
#include "kernels/vec.h"

namespace fastrnn::FASTRNN_ISA {

inline constexpr int kTileRows = FASTRNN_TILE_ROWS;
inline constexpr int kTileVectors = FASTRNN_TILE_VECTORS;

FASTRNN_INLINE constexpr ptrdiff_t min_of(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
FASTRNN_INLINE constexpr ptrdiff_t max_of(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
FASTRNN_INLINE constexpr ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

// Part `index` of `parts` nearly equal parts of [0, length).
FASTRNN_INLINE Range part(ptrdiff_t length, ptrdiff_t parts, ptrdiff_t index) {
  return {length * index / parts, length * (index + 1) / parts};
}

FASTRNN_INLINE Range part(Range whole, ptrdiff_t parts, ptrdiff_t index) {
  const Range r = part(whole.end - whole.begin, parts, index);
  return {whole.begin + r.begin, whole.begin + r.end};
}

// A range in nearly equal pieces, none longer than `most`: 8 rows are 4 + 4, not 7 + 1.
struct Pieces {
  ptrdiff_t begin, count, size, longer = 0;  // the first `longer` ones are size + 1 long
  Pieces(Range range, ptrdiff_t most)
      : begin(range.begin), count(range.end > range.begin ? 1 : 0), size(range.end - range.begin) {
    if (size > most) {  // no division on the common path
      count = ceil_div(size, most);
      longer = size % count;
      size /= count;
    }
  }
  Range at(ptrdiff_t i) const {
    const ptrdiff_t from = begin + i * size + min_of(i, longer);
    return {from, from + size + (i < longer ? 1 : 0)};
  }
};
// Calls f(begin, end) for each of them.  f is called in one place: nested, it is inlined once and not 2^n times.
template <class F>
FASTRNN_INLINE void balanced(Range range, ptrdiff_t most, F f) {
  const Pieces pieces(range, most);
  for (ptrdiff_t i = 0; i < pieces.count; ++i) {
    const Range piece = pieces.at(i);
    f(piece.begin, piece.end);
  }
}

// The i-th of n rows in an order without a constant stride: 0, h, 1, h + 1, 2 and so on, h being half of n.  A core
// that sees a stride fetches what would come next, and these are the rows that another thread is writing
// (docs/decisions/0002).
FASTRNN_INLINE ptrdiff_t crosswise(ptrdiff_t i, ptrdiff_t n) { return i / 2 + (i % 2 == 0 ? 0 : (n + 1) / 2); }

// out[m, n] = in[m, n] + sum over k of a[m, k] * b[k, n] for M rows and NV vectors of n; k counts cells.
// The depth is outer x inner, so that rows of a batch inside steps of a sequence are one chain.
template <class T>
struct Tile {
  const T* a;
  ptrdiff_t a_stride;  // between rows when a is row-major, between k when a is column-major; the other stride is 1
  const T* b;
  ptrdiff_t b_stride;  // between k
  const T* in;
  ptrdiff_t in_stride;  // between rows; 0 repeats one row
  T* out;
  ptrdiff_t out_stride;
  ptrdiff_t inner, outer, a_outer, b_outer;  // strides of the outer part of the depth
  ptrdiff_t last;                            // columns of the last vector that exist
  ptrdiff_t b_panel = 0;                     // between the panels of a tile that has several
};

enum class Layout { kRowMajor, kColumnMajor };

// The compiler may fold a load of b into each fma that uses it and become bound by loads; a register it cannot see
// through prevents that (bench: 87 -> 113 GFLOP/s at 4 rows, AVX-512).
template <class V>
FASTRNN_INLINE void pin(V& v) {
#if defined(__x86_64__)
  asm("" : "+v"(v));
#else
  asm("" : "+w"(v));
#endif
}

// A sum waits for its fma before, four cycles or so, so that two start in each cycle only if a tile has eight sums: few
// rows take several panels of b at once (B = 1 and H = 128 from the second-level cache, AVX2: 2x).
FASTRNN_INLINE constexpr int panels_at_once(int rows) { return rows < 3 ? 4 / rows : 1; }

// One row and panel are bound by reading b: 1.08x for B = 1, H = 128.
inline constexpr ptrdiff_t kAheadOfOneRow = 16;

template <class Cells, int M, int NV, Layout kA, bool kPartial, int kPanels = 1>
FASTRNN_INLINE void tile(const Tile<typename Cells::Element>& arguments) {
  const Tile<typename Cells::Element> t = arguments;  // a copy that stores through `out` cannot change
  using T = typename Cells::Element;
  using V = Vec<T>;
  constexpr int U = kLanes<T>;
  constexpr int kVectors = kPanels * NV;
  // Else the last vector of b stays an operand in memory, as all do that one row uses once.
  constexpr bool kRegisters = kPanels == 1 ? M * NV + NV + 1 <= 32 : M > 1;
  constexpr int kPinned = kRegisters ? kVectors : kPanels == 1 ? NV - 1 : 0;
  const auto partial = [&](int v) { return kPartial && v == kVectors - 1; };
  V acc[M][kVectors];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const T* in = t.in + m * t.in_stride + v * U;
      acc[m][v] = partial(v) ? load_n(in, t.last) : load(in);
    }
  const T *a_outer = t.a, *b_outer = t.b;
  for (ptrdiff_t o = 0; o < t.outer; ++o, a_outer += t.a_outer, b_outer += t.b_outer) {
    const T *a = a_outer, *b[kPanels];
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) b[p] = b_outer + p * t.b_panel;
#pragma GCC unroll 2
    for (ptrdiff_t k = 0; k < t.inner; ++k) {
      const auto row = [&](int m) { return splat(kA == Layout::kRowMajor ? a[m * t.a_stride] : a[m]); };
      const auto column = [&](int v) {
        const T* from = b[v / NV] + v % NV * U;
        V vector = partial(v) ? load_n(from, t.last) : load(from);
        if constexpr (M == 1 && kPanels == 1) __builtin_prefetch(from + kAheadOfOneRow * t.b_stride);
        if (v < kPinned) pin(vector);
        return vector;
      };
      if constexpr (kPanels > 1) {  // the rows stay in registers and the panels pass by
        V av[M];
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) av[m] = row(m);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          const V bv = column(v);
#pragma GCC unroll 8
          for (int m = 0; m < M; ++m) acc[m][v] = Cells::multiply_add(av[m], bv, acc[m][v]);
        }
      } else {
        V bv[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) bv[v] = column(v);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
          const V av = row(m);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) acc[m][v] = Cells::multiply_add(av, bv[v], acc[m][v]);
        }
      }
      a += kA == Layout::kRowMajor ? 1 : t.a_stride;
#pragma GCC unroll 8
      for (int p = 0; p < kPanels; ++p) b[p] += t.b_stride;
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      T* out = t.out + m * t.out_stride + v * U;
      if (partial(v))
        store_n(out, acc[m][v], t.last);
      else
        store(out, acc[m][v]);
    }
}

// What the numbers along the depth of a product lie in: cells of the size of T.  A cell is a number, or a pair of
// bfloat16 (see bfloat16.h); sums are T either way.
template <class T>
struct NumberCells {
  using Element = T;
  FASTRNN_INLINE Vec<T> multiply_add(Vec<T> a, Vec<T> b, Vec<T> c) { return fma(a, b, c); }
  template <int M, int NV, Layout kA, bool kPartial, int kPanels = 1>
  static void run(const Tile<T>& t) noexcept {
    tile<NumberCells, M, NV, kA, kPartial, kPanels>(t);
  }
};

template <class T>
using TileFunction = void (*)(const Tile<T>&) noexcept;

// All tiles for one kind of cells: those of numbers are instantiated in gemm.cc, those of pairs in bfloat16.cc and
// in the files of the instruction sets that multiply them.
template <class T>
struct Tiles {
  TileFunction<T> of[2][2][kTileRows][kTileVectors];  // layout of a, last vector partial, rows - 1, vectors - 1
  TileFunction<T> across[kTileRows];                  // several whole panels, a row-major: rows - 1
  ptrdiff_t block = 1;  // so many cells of the depth, counted from its begin, are summed apart; 1: all are one chain
  static const Tiles numbers;
  __attribute__((always_inline)) TileFunction<T> find(ptrdiff_t rows, ptrdiff_t vectors, Layout a, bool partial) const {
    return of[static_cast<int>(a)][partial][rows - 1][vectors - 1];
  }
};

extern template struct Tiles<float>;
extern template struct Tiles<double>;

template <class Cells, Layout kA, bool kPartial, int M, int... kVectors>
FASTRNN_INLINE constexpr void fill_tiles(TileFunction<typename Cells::Element> (&row)[kTileVectors],
                                         std::integer_sequence<int, kVectors...>) {
  ((row[kVectors] = &Cells::template run<M, kVectors + 1, kA, kPartial>), ...);
}
template <class Cells, Layout kA, bool kPartial, int... kRows>
FASTRNN_INLINE constexpr void fill_tiles(TileFunction<typename Cells::Element> (&tiles)[kTileRows][kTileVectors],
                                         std::integer_sequence<int, kRows...>) {
  (fill_tiles<Cells, kA, kPartial, kRows + 1>(tiles[kRows], std::make_integer_sequence<int, kTileVectors>{}), ...);
}
template <class Cells, int... kRows>
FASTRNN_INLINE constexpr void fill_across(TileFunction<typename Cells::Element> (&across)[kTileRows],
                                          std::integer_sequence<int, kRows...>) {
  ((across[kRows] = &Cells::template run<kRows + 1, kTileVectors, Layout::kRowMajor, false, panels_at_once(kRows + 1)>),
   ...);
}
template <class Cells>
FASTRNN_INLINE constexpr Tiles<typename Cells::Element> make_tiles(ptrdiff_t block = 1) {
  constexpr std::make_integer_sequence<int, kTileRows> rows;
  Tiles<typename Cells::Element> tiles{};
  fill_tiles<Cells, Layout::kRowMajor, false>(tiles.of[0][0], rows);
  fill_tiles<Cells, Layout::kRowMajor, true>(tiles.of[0][1], rows);
  fill_tiles<Cells, Layout::kColumnMajor, false>(tiles.of[1][0], rows);
  fill_tiles<Cells, Layout::kColumnMajor, true>(tiles.of[1][1], rows);
  fill_across<Cells>(tiles.across, rows);
  tiles.block = block;
  return tiles;
}

// out = in + a b over a grid of rows.
template <class T>
struct Product {
  ptrdiff_t outer, inner;    // rows
  ptrdiff_t depth, columns;  // depth in cells
  Rows<const T> a;           // columns: depth
  Rows<const T> in;          // may be out itself; strides 0 repeat one row
  Rows<T> out;
  const T* b;          // packed panels (b_stride = 0), or rows of `columns` elements
  ptrdiff_t b_stride;  // between rows of b; 0: packed
  ptrdiff_t runs = 1;  // the depth is `runs` runs of `depth` columns of a, run_stride apart
  ptrdiff_t run_stride = 0;
  const Tiles<T>* tiles = &Tiles<T>::numbers;
};

template <class T>
void product(const Product<T>& p) noexcept;

// Writes columns [0, columns) x depth of b as panels for `product`.  source(k, column, lanes, to) fills `lanes`
// elements of row k from `column` on; columns past `columns` become zero.
template <class T, class Source>
FASTRNN_INLINE void pack(T* to, ptrdiff_t depth, ptrdiff_t columns, Source source) {
  constexpr ptrdiff_t U = kLanes<T>;
  balanced({0, ceil_div(columns, U)}, kTileVectors,
           [&](ptrdiff_t v0, ptrdiff_t v1) { source(v0 * U, (v1 - v0) * U, to + v0 * U * depth); });
}

// c[j, i] += sum over rows of a[row, j] * b[row, i]: the outer-product form.  Rows are walked as given: outer (a step
// of a sequence, descending by a negative stride), then inner (the batch).
template <class T>
struct OuterProduct {
  ptrdiff_t outer, inner;
  Rows<const T> a;
  Rows<const T> b;  // strides 0: packed by pack_grid
  T* c;
  ptrdiff_t c_stride;
  ptrdiff_t a_columns, b_columns;
  ptrdiff_t panel = -1;     // the only panel of b to take; -1: all
  const T* next = nullptr;  // c of the product that follows, to fetch ahead
  const Tiles<T>* tiles = &Tiles<T>::numbers;
};

template <class T>
void outer_product(const OuterProduct<T>& p) noexcept;

// Copies some panels of a grid of rows into a buffer for outer_product over `total` rows, from row `at` on: rows that
// lie together are read without the cache conflicts of a power-of-two stride.
template <class T>
void pack_grid(T* to, ptrdiff_t total, ptrdiff_t at, Rows<const T> from, ptrdiff_t outer, ptrdiff_t inner,
               ptrdiff_t columns, Range panels) noexcept;

template <class T>
FASTRNN_INLINE ptrdiff_t panel_count(ptrdiff_t columns) {
  return ceil_div(ceil_div(columns, static_cast<ptrdiff_t>(kLanes<T>)), kTileVectors);
}

}  // namespace fastrnn::FASTRNN_ISA
