// Dropout with masks from a counter; see fastrnn/reference/dropout.py for their definition.
#pragma once

#include "base/ops.h"
#include "base/rng.h"
#include "base/threads.h"
#include "kernels/grid.h"
#include "kernels/transpose.h"

namespace fastrnn::FASTRNN_ISA {

typedef std::uint64_t Words64 __attribute__((vector_size(FASTRNN_VECTOR_BYTES)));
inline constexpr int kCounters = FASTRNN_VECTOR_BYTES / 8;  // counters in a vector, each good for four elements

// Product of the low halves of 64-bit lanes.
FASTRNN_INLINE Words64 multiply_low(Words64 a, Words64 b) {
#if defined(__x86_64__) && FASTRNN_VECTOR_BYTES == 64
  return (Words64)_mm512_maskz_mul_epu32(0xFF, (__m512i)a, (__m512i)b);
#elif defined(__x86_64__) && FASTRNN_VECTOR_BYTES == 32
  return (Words64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
  return (Words64)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (Words64)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#endif
}

// base/rng.h on kCounters counters that differ in their lowest word, quad + lane.  Only the low halves of lanes matter
// between rounds, so nothing is masked before the end.  words: 4 * kCounters, those of one counter together.
FASTRNN_INLINE void philox_lanes(std::uint64_t key, std::uint64_t quad, std::uint64_t row, std::uint64_t step,
                                 std::uint32_t* words) {
  Words64 c0{}, c1 = Words64{} + row, c2 = Words64{} + step, c3 = Words64{} + (step >> 32);
  for (int i = 0; i < kCounters; ++i) c0[i] = quad + static_cast<std::uint64_t>(i);
  std::uint64_t k0 = key, k1 = key >> 32;
  const Words64 m0 = Words64{} + 0xD2511F53u, m1 = Words64{} + 0xCD9E8D57u;
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const Words64 p0 = multiply_low(m0, c0), p1 = multiply_low(m1, c2);
    c0 = (p1 >> 32) ^ c1 ^ k0;
    c1 = p1;
    c2 = (p0 >> 32) ^ c3 ^ k1;
    c3 = p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  constexpr std::uint64_t kLow = 0xFFFFFFFFu;
  const Words64 first = (c0 & kLow) | (c1 << 32), second = (c2 & kLow) | (c3 << 32);
  Words64 low, high;
  interleave(first, second, low, high, std::make_integer_sequence<int, kCounters>{});
  __builtin_memcpy(words, &low, sizeof(low));
  __builtin_memcpy(words + 2 * kCounters, &high, sizeof(high));
}

typedef std::uint64_t Unsigned64 __attribute__((vector_size(FASTRNN_VECTOR_BYTES)));
typedef std::uint32_t Unsigned32 __attribute__((vector_size(FASTRNN_VECTOR_BYTES)));
typedef std::uint32_t HalfUnsigned32 __attribute__((vector_size(FASTRNN_VECTOR_BYTES / 2)));

// Lanes of all ones where a word is at least the threshold.
FASTRNN_INLINE IntVec<float> kept(const std::uint32_t* words, std::uint32_t threshold, float) {
  Unsigned32 w;
  __builtin_memcpy(&w, words, sizeof(w));
  return (IntVec<float>)(w >= threshold);
}
FASTRNN_INLINE IntVec<double> kept(const std::uint32_t* words, std::uint32_t threshold, double) {
  HalfUnsigned32 w;
  __builtin_memcpy(&w, words, sizeof(w));
  return (IntVec<double>)(__builtin_convertvector(w, Unsigned64) >= std::uint64_t{threshold});
}

template <class T>
FASTRNN_INLINE void drop_row(const Dropout<T>& a, const T* x, T* y, std::uint64_t row, std::uint64_t step) {
  constexpr ptrdiff_t U = kLanes<T>, kWords = 4 * kCounters;
  alignas(64) std::uint32_t words[kWords];
  const Vec<T> scale = splat(a.scale);
  for (ptrdiff_t u = 0; u < a.units; u += kWords) {
    philox_lanes(a.key, static_cast<std::uint64_t>(u / 4), row, step, words);
    const ptrdiff_t n = min_of(kWords, a.units - u);
    for (ptrdiff_t i = 0; i < n; i += U) {
      const ptrdiff_t lanes = min_of(U, n - i);
      const Vec<T> scaled = (lanes == U ? load(x + u + i) : load_n(x + u + i, lanes)) * scale;
      const Vec<T> result = (Vec<T>)((IntVec<T>)scaled & kept(words + i, a.threshold, T(0)));
      if (lanes == U)
        store(y + u + i, result);
      else
        store_n(y + u + i, result, lanes);
    }
  }
}

template <class T>
void dropout(const Dropout<T>& a) noexcept {
  auto body = [&](int thread) noexcept {
    rectangles(a.rows, part(a.steps * a.rows, a.threads, thread),
               [&](ptrdiff_t t, ptrdiff_t steps, ptrdiff_t b, ptrdiff_t rows) {
                 for (ptrdiff_t s = t; s < t + steps; ++s)
                   for (ptrdiff_t r = b; r < b + rows; ++r)
                     drop_row(a, moved(a.x, s, r).p, moved(a.y, s, r).p, static_cast<std::uint64_t>(r),
                              a.first_step + static_cast<std::uint64_t>(s));
               });
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
