// AVX-512 with tiles of bfloat16 (AMX): the kernels of avx512, and products by TDPBF16PS.
//
// The instruction multiplies up to 16 rows of 16 cells by 16 cells of 16 columns.  Of these cells it sums the even
// numbers in one chain and the odd ones in another, each from zero, adds both, and then that to what was there: so a
// block of 16 cells is formed apart, and blocks are counted from where a depth begins (`Tiles::block`).
#include "kernels/bfloat16.h"
#include "kernels/cell.h"
#include "kernels/table.h"

namespace fastrnn {
namespace avx512 {
namespace {

constexpr ptrdiff_t kCells = 16;               // of the depth, in a tile
constexpr ptrdiff_t kColumns = kLanes<float>;  // of a tile
constexpr ptrdiff_t kRowBytes = 64;            // of a tile
static_assert(kColumns == 16 && kTileVectors <= 4 && kTileRows <= 16);

// What LDTILECFG reads: the shape of each register.
struct alignas(64) Registers {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {};  // of a row
  std::uint8_t rows[16] = {};
  void set(int at, ptrdiff_t with_rows, ptrdiff_t row_bytes) {
    rows[at] = static_cast<std::uint8_t>(with_rows);
    bytes[at] = static_cast<std::uint16_t>(row_bytes);
  }
};
static_assert(sizeof(Registers) == 64);

FASTRNN_INLINE void configure(const Registers& shapes) { asm volatile("ldtilecfg %0" ::"m"(shapes)); }
FASTRNN_INLINE void release() { asm volatile("tilerelease"); }
template <int k>
FASTRNN_INLINE void load_tile(const float* from, ptrdiff_t stride) {
  asm volatile("tileloadd (%0,%1,4), %%tmm%c2" ::"r"(from), "r"(stride), "i"(k) : "memory");
}
template <int k>
FASTRNN_INLINE void store_tile(float* to, ptrdiff_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,4)" ::"r"(to), "r"(stride), "i"(k) : "memory");
}
template <int kSum, int kA, int kB>
FASTRNN_INLINE void multiply_tiles() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kA), "i"(kB));
}

// Registers 0 to 3 are the sums of a vector each, 4 and 5 a block of a and of b, 6 and 7 what remains of the depth.
constexpr int kA = 4, kB = 5, kRestOfA = 6, kRestOfB = 7;
Registers registers_for(int rows, ptrdiff_t rest) {
  Registers shapes;
  for (int v = 0; v < kTileVectors; ++v) shapes.set(v, rows, kRowBytes);
  shapes.set(kA, rows, kRowBytes);
  shapes.set(kB, kCells, kRowBytes);
  if (rest > 0) {
    shapes.set(kRestOfA, rows, rest * 4);
    shapes.set(kRestOfB, rest, kRowBytes);
  }
  return shapes;
}

// One tile of numbers of its own, for what does not lie as the instruction wants it.
struct Copy {
  alignas(64) float at[kCells][kColumns];
};

// One panel of `Tile`.
struct Panel {
  const Tile<float>& t;
  int rows, vectors;
  bool column_major, partial;
  const float *in, *b;
  float* out;

  bool cut(int v) const { return partial && v == vectors - 1; }  // a vector of which only t.last columns exist

  void load_sums() const {
    for_constants<kTileVectors>([&](auto v) {
      if (v >= vectors) return;
      const float* from = in + v * kColumns;
      if (!cut(v)) return load_tile<v>(from, t.in_stride);
      Copy copy;
      for (int m = 0; m < rows; ++m) store(copy.at[m], load_n(from + m * t.in_stride, t.last));
      load_tile<v>(copy.at[0], kColumns);
    });
  }
  void store_sums() const {
    for_constants<kTileVectors>([&](auto v) {
      if (v >= vectors) return;
      float* to = out + v * kColumns;
      if (!cut(v)) return store_tile<v>(to, t.out_stride);
      Copy copy;
      store_tile<v>(copy.at[0], kColumns);
      for (int m = 0; m < rows; ++m) store_n(to + m * t.out_stride, load(copy.at[m]), t.last);
    });
  }

  // Some cells of the depth, in registers kOfA and kOfB.
  template <int kOfA, int kOfB>
  void add(const float* a, const float* of_b, ptrdiff_t cells) const {
    Copy copy;
    if (column_major) {
      for (ptrdiff_t k = 0; k < cells; ++k)
        for (int m = 0; m < rows; ++m) copy.at[m][k] = a[k * t.a_stride + m];
      load_tile<kOfA>(copy.at[0], kColumns);
    } else {
      load_tile<kOfA>(a, t.a_stride);
    }
    for_constants<kTileVectors>([&](auto v) {
      if (v >= vectors) return;
      const float* from = of_b + v * kColumns;
      if (cut(v)) {
        for (ptrdiff_t k = 0; k < cells; ++k) store(copy.at[k], load_n(from + k * t.b_stride, t.last));
        load_tile<kOfB>(copy.at[0], kColumns);
      } else {
        load_tile<kOfB>(from, t.b_stride);
      }
      multiply_tiles<v, kOfA, kOfB>();
    });
  }

  void run() const {
    load_sums();
    const ptrdiff_t a_step = column_major ? t.a_stride : 1;
    for (ptrdiff_t o = 0; o < t.outer; ++o) {
      const float *a = t.a + o * t.a_outer, *of_b = b + o * t.b_outer;
      ptrdiff_t k = 0;
      for (; k + kCells <= t.inner; k += kCells) add<kA, kB>(a + k * a_step, of_b + k * t.b_stride, kCells);
      if (k < t.inner) add<kRestOfA, kRestOfB>(a + k * a_step, of_b + k * t.b_stride, t.inner - k);
    }
    store_sums();
  }
};

void run_panels(const Tile<float>& t, int rows, int vectors, Layout a, bool partial, int panels) noexcept {
  configure(registers_for(rows, t.inner % kCells));  // other libraries change it, too
  for (int p = 0; p < panels; ++p) {
    const ptrdiff_t at = p * vectors * kColumns;
    Panel{
        t,         rows, vectors, a == Layout::kColumnMajor, partial && p == panels - 1, t.in + at, t.b + p * t.b_panel,
        t.out + at}
        .run();
  }
  release();
}

struct TilePairs {
  using Element = float;
  template <int M, int NV, Layout kLayout, bool kPartial, int kPanels = 1>
  static void run(const Tile<float>& t) noexcept {
    run_panels(t, M, NV, kLayout, kPartial, kPanels);
  }
};
constexpr Tiles<float> kPairs = make_tiles<TilePairs>(kCells);

double pair_flops(ptrdiff_t rounds) noexcept {
  constexpr ptrdiff_t kRows = 16;
  Registers shapes;
  for (int k = 0; k <= kB; ++k) shapes.set(k, kRows, kRowBytes);
  configure(shapes);  // and clears them
  rounds /= kRows;    // it takes that many cycles
  for (ptrdiff_t r = 0; r < rounds; ++r) for_constants<4>([](auto v) { multiply_tiles<v, kA, kB>(); });
  release();
  return 2.0 * 4 * kRows * kColumns * 2 * kCells * static_cast<double>(rounds);
}

}  // namespace
}  // namespace avx512

namespace avx512_amx {
void fill(Kernels& table) {
  avx512::fill(table);
  table.name = "avx512_amx";
  table.pairs = &avx512::kPairs;
  table.pair_flops = &avx512::pair_flops;
}
}  // namespace avx512_amx
}  // namespace fastrnn
