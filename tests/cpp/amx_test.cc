// The register tiles of avx512_amx, on any processor with AVX-512: see amx_emulator.cc.  `amx_test sabotage` compares
// with the sums of another instruction.
#include "kernels/rows/avx512_amx.cc"

#include <cstring>

#include "arrays.h"

namespace fastrnn {
bool emulate_amx() noexcept;
namespace avx512 {
void fill(Kernels&) {}  // its kernels are not needed here
}  // namespace avx512

namespace {

using testing::Array;

bool sabotaged = false;

float bfloat16_of(std::uint64_t key, ptrdiff_t i, int half) {
  const double x = static_cast<double>(philox(key, static_cast<std::uint64_t>(i), 7).x[half]) * 0x1p-31 - 1;
  const auto near = static_cast<float>(x);
  std::uint32_t bits = 0;
  std::memcpy(&bits, &near, 4);
  bits &= 0xFFFF0000U;
  float out = 0;
  std::memcpy(&out, &bits, 4);
  return out;
}
Array<float> draw_cells(ptrdiff_t n, std::uint64_t key) {
  Array<float> a(n);
  for (ptrdiff_t i = 0; i < n; ++i) {
    const float even = bfloat16_of(key, i, 0), odd = bfloat16_of(key, i, 1);
    std::uint32_t low = 0, high = 0;
    std::memcpy(&low, &even, 4);
    std::memcpy(&high, &odd, 4);
    const std::uint32_t cell = high | low >> 16;
    std::memcpy(static_cast<float*>(a) + i, &cell, 4);
  }
  return a;
}
float half_of(float cell, int half) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &cell, 4);
  bits = half == 0 ? bits << 16 : bits & 0xFFFF0000U;
  float x = 0;
  std::memcpy(&x, &bits, 4);
  return x;
}

// What a block of a depth adds to a sum: see kernels/rows/avx512_amx.cc.
template <class A, class B>
float with_block(float sum, ptrdiff_t cells, A a, B b) {
  float even = 0, odd = 0;
  for (ptrdiff_t k = 0; k < cells; ++k) {
    if (sabotaged) {
      sum = std::fma(half_of(a(k), 0), half_of(b(k), 0), std::fma(half_of(a(k), 1), half_of(b(k), 1), sum));
      continue;
    }
    even = std::fma(half_of(a(k), 0), half_of(b(k), 0), even);
    odd = std::fma(half_of(a(k), 1), half_of(b(k), 1), odd);
  }
  return sabotaged ? sum : sum + (even + odd);
}

void check_tile(int rows, int vectors, avx512::Layout layout, bool partial, int panels, ptrdiff_t inner,
                ptrdiff_t outer) {
  const ptrdiff_t last = partial ? 5 : 16, width = 16 * vectors, columns = width * panels - 16 + last;
  const bool by_row = layout == avx512::Layout::kRowMajor;
  // Every array ends with the last number that is read, so that a sanitizer sees one more.
  const ptrdiff_t a_stride = by_row ? outer * inner + 3 : rows + 1, a_outer = by_row ? inner : inner * a_stride;
  const ptrdiff_t a_size = by_row ? (rows - 1) * a_stride + outer * inner : (outer * inner - 1) * a_stride + rows;
  const ptrdiff_t b_stride = panels == 1 ? columns : width, b_panel = b_stride * outer * inner;
  const auto a = draw_cells(a_size, 1), b = draw_cells(b_panel * panels, 2), in = draw_cells(columns, 3);
  const ptrdiff_t out_stride = columns + 2;
  Array<float> out((rows - 1) * out_stride + columns);
  const avx512::Tile<float> t{a,     a_stride, b,       b_stride,         in,   0,      out, out_stride,
                              inner, outer,    a_outer, b_stride * inner, last, b_panel};
  const auto& tiles = avx512::kPairs;
  if (panels > 1)
    tiles.across[rows - 1](t);
  else
    tiles.find(rows, vectors, layout, partial)(t);
  for (int m = 0; m < rows; ++m)
    for (ptrdiff_t n = 0; n < columns; ++n) {
      float want = in[n];
      for (ptrdiff_t o = 0; o < outer; ++o)
        for (ptrdiff_t k0 = 0; k0 < inner; k0 += tiles.block)
          want = with_block(
              want, avx512::min_of(tiles.block, inner - k0),
              [&](ptrdiff_t k) {
                return by_row ? a[m * a_stride + o * a_outer + k0 + k] : a[o * a_outer + (k0 + k) * a_stride + m];
              },
              [&](ptrdiff_t k) { return b[n / width * b_panel + (o * inner + k0 + k) * b_stride + n % width]; });
      CHECK(std::memcmp(&want, static_cast<float*>(out) + m * out_stride + n, 4) == 0);
    }
}

}  // namespace
}  // namespace fastrnn

int main(int count, char** words) {
  using namespace fastrnn;
  sabotaged = count > 1 && std::strcmp(words[1], "sabotage") == 0;
  if (!__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq")) {
    std::puts("not run: this processor has no AVX-512");
    return 77;
  }
  CHECK(emulate_amx());
  for (int rows = 1; rows <= avx512::kTileRows; ++rows)
    for (ptrdiff_t inner : {1, 3, 16, 17, 33, 48})
      for (ptrdiff_t outer : {1, 3}) {
        for (int vectors = 1; vectors <= avx512::kTileVectors; ++vectors)
          for (auto layout : {avx512::Layout::kRowMajor, avx512::Layout::kColumnMajor})
            for (bool partial : {false, true}) check_tile(rows, vectors, layout, partial, 1, inner, outer);
        const int panels = avx512::panels_at_once(rows);
        if (panels > 1) check_tile(rows, avx512::kTileVectors, avx512::Layout::kRowMajor, false, panels, inner, outer);
      }
  CHECK(avx512::pair_flops(64) == 64 / 16 * 4 * 2.0 * 16 * 16 * 32);
  std::puts("every register tile of avx512_amx has the sums of its instruction");
}
