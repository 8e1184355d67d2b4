// The functions of math.h over an array, and the loop that measures the peak of fma.
#pragma once

#include "base/ops.h"
#include "kernels/gemm.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

template <class T, class F>
FASTRNN_INLINE void for_vectors(const T* x, T* y, ptrdiff_t length, F f) {
  constexpr ptrdiff_t U = kLanes<T>;
  for (ptrdiff_t i = 0; i < length; i += U) {
    const ptrdiff_t n = min_of(U, length - i);
    store_n(y + i, f(load_n(x + i, n)), n);
  }
}

template <class T>
void map(Map which, const T* x, T* y, ptrdiff_t length) noexcept {
  switch (which) {
    case Map::kExp:
      return for_vectors(x, y, length, [](Vec<T> v) { return exp(v); });
    case Map::kSigmoid:
      return for_vectors(x, y, length, [](Vec<T> v) { return sigmoid(v); });
    case Map::kTanh:
      return for_vectors(x, y, length, [](Vec<T> v) { return tanh(v); });
  }
}

// Twelve chains hide the latency of fma (4 cycles at two a cycle) and fit the 16 registers of AVX2.
template <class T, class Step>
FASTRNN_INLINE double flops_of(ptrdiff_t rounds, Step step) {
  constexpr int kChains = 12;
  Vec<T> acc[kChains], a = splat(T(0.5)), b = splat(T(1));
  for (int i = 0; i < kChains; ++i) acc[i] = splat(static_cast<T>(i));
  for (ptrdiff_t r = 0; r < rounds; ++r) {
    pin(a);
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i] = step(acc[i], a, b);
  }
  for (int i = 0; i < kChains; ++i) pin(acc[i]);
  return 2.0 * kChains * kLanes<T> * static_cast<double>(rounds);
}
template <class T>
double fma_flops(ptrdiff_t rounds) noexcept {
  return flops_of<T>(rounds, [](Vec<T> sum, Vec<T> a, Vec<T> b) { return fma(sum, a, b); });
}

}  // namespace fastrnn::FASTRNN_ISA
