// Operands as pairs of bfloat16, and tiles that multiply them without an instruction.
#include "kernels/bfloat16.h"

namespace fastrnn::FASTRNN_ISA {
namespace {

FASTRNN_INLINE Vec<float> even_of(Vec<float> cells) { return (Vec<float>)((FloatBits)cells << 16); }
FASTRNN_INLINE Vec<float> odd_of(Vec<float> cells) { return (Vec<float>)((FloatBits)cells & 0xFFFF0000u); }

// Any tile, one vector at a time: a product is exact, so that fma rounds as a sum does.
void emulate(const Tile<float>& t, int rows, int vectors, Layout a_layout, bool partial, int panels) noexcept {
  constexpr ptrdiff_t U = kLanes<float>;
  const ptrdiff_t a_step = a_layout == Layout::kRowMajor ? 1 : t.a_stride;
  for (int v = 0; v < panels * vectors; ++v)
    for (int m = 0; m < rows; ++m) {
      const ptrdiff_t lanes = partial && v == panels * vectors - 1 ? t.last : U;
      Vec<float> sum = load_n(t.in + m * t.in_stride + v * U, lanes);
      for (ptrdiff_t o = 0; o < t.outer; ++o) {
        const float* a = t.a + o * t.a_outer + (a_layout == Layout::kRowMajor ? m * t.a_stride : m);
        const float* b = t.b + o * t.b_outer + v / vectors * t.b_panel + v % vectors * U;
        for (ptrdiff_t k = 0; k < t.inner; ++k, a += a_step, b += t.b_stride) {
          const Vec<float> x = splat(*a), y = load_n(b, lanes);
          sum = fma(even_of(x), even_of(y), fma(odd_of(x), odd_of(y), sum));
        }
      }
      store_n(t.out + m * t.out_stride + v * U, sum, lanes);
    }
}

struct EmulatedPairs {
  using Element = float;
  template <int M, int NV, Layout kA, bool kPartial, int kPanels = 1>
  static void run(const Tile<float>& t) noexcept {
    emulate(t, M, NV, kA, kPartial, kPanels);
  }
};

}  // namespace

void pair_row(float* to, const float* from, ptrdiff_t count) noexcept {
  constexpr ptrdiff_t U = kLanes<float>;
  ptrdiff_t i = 0;
  for (; i + 2 * U <= count; i += 2 * U, to += U) store(to, load_neighbours(from + i, 2 * U));
  if (i < count) store_n(to, load_neighbours(from + i, count - i), (count - i + 1) / 2);
}

void pair_rows(float* to, const float* even, const float* odd, ptrdiff_t width, ptrdiff_t count) noexcept {
  constexpr ptrdiff_t U = kLanes<float>;
  const auto at = [&](const float* row, ptrdiff_t i) {
    if (row == nullptr || i >= count) return Vec<float>{};
    return count - i >= U ? load(row + i) : load_n(row + i, count - i);
  };
  for (ptrdiff_t i = 0; i < width; i += U) store(to + i, pair(at(even, i), at(odd, i)));
}

void pair_block(float* to, ptrdiff_t stride, Rows<const float> from, ptrdiff_t rows, ptrdiff_t count,
                ptrdiff_t pairs) noexcept {
  const auto row = [&](ptrdiff_t r) { return r < rows ? from.p + r * from.inner : nullptr; };
  for (ptrdiff_t i = 0; i < pairs; ++i) pair_rows(to + i * stride, row(2 * i), row(2 * i + 1), count, count);
}

void pair_grid(float* to, ptrdiff_t stride, Rows<const float> from, ptrdiff_t outer, ptrdiff_t inner,
               ptrdiff_t columns) noexcept {
  for (ptrdiff_t i = 0; i < outer; ++i)
    for (ptrdiff_t j = 0; j < inner; ++j, to += stride) pair_row(to, from.p + i * from.outer + j * from.inner, columns);
}

constexpr Tiles<float> kEmulatedPairs = make_tiles<EmulatedPairs>();

}  // namespace fastrnn::FASTRNN_ISA
