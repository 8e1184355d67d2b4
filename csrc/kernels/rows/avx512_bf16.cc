// AVX-512 with the dot-product instruction of bfloat16: the kernels of avx512, and tiles that multiply pairs.
#include "kernels/bfloat16.h"
#include "kernels/elementwise.h"
#include "kernels/table.h"

namespace fastrnn {
namespace avx512 {
namespace {

struct DotPairs {
  using Element = float;
  FASTRNN_INLINE Vec<float> multiply_add(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
  }
  template <int M, int NV, Layout kA, bool kPartial, int kPanels = 1>
  static void run(const Tile<float>& t) noexcept {
    tile<DotPairs, M, NV, kA, kPartial, kPanels>(t);
  }
};
constexpr Tiles<float> kPairs = make_tiles<DotPairs>();

double pair_flops(ptrdiff_t rounds) noexcept {
  return 2 * flops_of<float>(
                 rounds, [](Vec<float> sum, Vec<float> a, Vec<float> b) { return DotPairs::multiply_add(a, b, sum); });
}

}  // namespace
}  // namespace avx512

namespace avx512_bf16 {
void fill(Kernels& table) {
  avx512::fill(table);
  table.name = "avx512_bf16";
  table.pairs = &avx512::kPairs;
  table.pair_flops = &avx512::pair_flops;
}
}  // namespace avx512_bf16
}  // namespace fastrnn
