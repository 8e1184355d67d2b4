// Vectors of the instruction set that this translation unit is compiled for.
//
// A vector is the compiler's own vector type, so + - * / and comparisons are operators and a comparison gives an
// integer vector of 0 / -1.  What the language has no word for (fma, partial loads, blends) is a function here, once
// per instruction set.  Kernels are templates over V; `Vec<float>` and `Vec<double>` have FASTRNN_VECTOR_BYTES bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define FASTRNN_INLINE static inline __attribute__((always_inline))
// For what is called from many places and does much each time: twenty cells on four instruction sets add up.
#define FASTRNN_APART __attribute__((noinline))

namespace fastrnn::FASTRNN_ISA {

using std::ptrdiff_t;

template <class T>
struct VecTypes;
template <>
struct VecTypes<float> {
  typedef float V __attribute__((vector_size(FASTRNN_VECTOR_BYTES)));
  typedef float Unaligned __attribute__((vector_size(FASTRNN_VECTOR_BYTES), aligned(4), may_alias));
  typedef std::int32_t I __attribute__((vector_size(FASTRNN_VECTOR_BYTES)));
  using Int = std::int32_t;
};
template <>
struct VecTypes<double> {
  typedef double V __attribute__((vector_size(FASTRNN_VECTOR_BYTES)));
  typedef double Unaligned __attribute__((vector_size(FASTRNN_VECTOR_BYTES), aligned(8), may_alias));
  typedef std::int64_t I __attribute__((vector_size(FASTRNN_VECTOR_BYTES)));
  using Int = std::int64_t;
};
template <class T>
using Vec = typename VecTypes<T>::V;
template <class T>
using IntVec = typename VecTypes<T>::I;  // lanes of the same width as T
template <class T>
inline constexpr int kLanes = FASTRNN_VECTOR_BYTES / static_cast<int>(sizeof(T));

// The element type of a vector, so that a template over V can ask for it.
template <class V>
using ElementOf = __typeof__(V{}[0] + V{}[0]);

FASTRNN_INLINE Vec<float> load(const float* p) { return *reinterpret_cast<const VecTypes<float>::Unaligned*>(p); }
FASTRNN_INLINE Vec<double> load(const double* p) { return *reinterpret_cast<const VecTypes<double>::Unaligned*>(p); }
FASTRNN_INLINE void store(float* p, Vec<float> v) { *reinterpret_cast<VecTypes<float>::Unaligned*>(p) = v; }
FASTRNN_INLINE void store(double* p, Vec<double> v) { *reinterpret_cast<VecTypes<double>::Unaligned*>(p) = v; }

#if FASTRNN_VECTOR_BYTES == 64
FASTRNN_INLINE Vec<float> splat(float x) { return (Vec<float>)_mm512_set1_ps(x); }
FASTRNN_INLINE Vec<double> splat(double x) { return (Vec<double>)_mm512_set1_pd(x); }
FASTRNN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
FASTRNN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
// min and max: the second operand when either is NaN, so a bound goes first and the NaN comes through.
// (All lanes by mask: GCC 12 warns of an uninitialised value inside the plain intrinsics.)
FASTRNN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) {
  return (Vec<float>)_mm512_maskz_min_ps(0xFFFF, (__m512)a, (__m512)b);
}
FASTRNN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) {
  return (Vec<float>)_mm512_maskz_max_ps(0xFFFF, (__m512)a, (__m512)b);
}
FASTRNN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm512_maskz_min_pd(0xFF, (__m512d)a, (__m512d)b);
}
FASTRNN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm512_maskz_max_pd(0xFF, (__m512d)a, (__m512d)b);
}
// The first n lanes (0 <= n <= lanes); the others are zero, and memory past them is not touched.
FASTRNN_INLINE __mmask16 first_lanes16(ptrdiff_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
FASTRNN_INLINE __mmask8 first_lanes8(ptrdiff_t n) { return static_cast<__mmask8>((1u << n) - 1u); }
FASTRNN_INLINE Vec<float> load_n(const float* p, ptrdiff_t n) {
  return (Vec<float>)_mm512_maskz_loadu_ps(first_lanes16(n), p);
}
FASTRNN_INLINE Vec<double> load_n(const double* p, ptrdiff_t n) {
  return (Vec<double>)_mm512_maskz_loadu_pd(first_lanes8(n), p);
}
FASTRNN_INLINE void store_n(float* p, Vec<float> v, ptrdiff_t n) {
  _mm512_mask_storeu_ps(p, first_lanes16(n), (__m512)v);
}
FASTRNN_INLINE void store_n(double* p, Vec<double> v, ptrdiff_t n) {
  _mm512_mask_storeu_pd(p, first_lanes8(n), (__m512d)v);
}
// Bits of the lanes where a <= b does not hold; NaN holds to nothing.
FASTRNN_INLINE unsigned not_at_most(Vec<float> a, Vec<float> b) {
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_NLE_UQ);
}
FASTRNN_INLINE unsigned not_at_most(Vec<double> a, Vec<double> b) {
  return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_NLE_UQ);
}
#elif FASTRNN_VECTOR_BYTES == 32
FASTRNN_INLINE Vec<float> splat(float x) { return (Vec<float>)_mm256_set1_ps(x); }
FASTRNN_INLINE Vec<double> splat(double x) { return (Vec<double>)_mm256_set1_pd(x); }
FASTRNN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
FASTRNN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
FASTRNN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm256_min_ps((__m256)a, (__m256)b); }
FASTRNN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm256_max_ps((__m256)a, (__m256)b); }
FASTRNN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm256_min_pd((__m256d)a, (__m256d)b);
}
FASTRNN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm256_max_pd((__m256d)a, (__m256d)b);
}
FASTRNN_INLINE __m256i first_lanes32(ptrdiff_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
FASTRNN_INLINE __m256i first_lanes64(ptrdiff_t n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
FASTRNN_INLINE Vec<float> load_n(const float* p, ptrdiff_t n) {
  return (Vec<float>)_mm256_maskload_ps(p, first_lanes32(n));
}
FASTRNN_INLINE Vec<double> load_n(const double* p, ptrdiff_t n) {
  return (Vec<double>)_mm256_maskload_pd(p, first_lanes64(n));
}
FASTRNN_INLINE void store_n(float* p, Vec<float> v, ptrdiff_t n) {
  _mm256_maskstore_ps(p, first_lanes32(n), (__m256)v);
}
FASTRNN_INLINE void store_n(double* p, Vec<double> v, ptrdiff_t n) {
  _mm256_maskstore_pd(p, first_lanes64(n), (__m256d)v);
}
FASTRNN_INLINE unsigned not_at_most(Vec<float> a, Vec<float> b) {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_NLE_UQ)));
}
FASTRNN_INLINE unsigned not_at_most(Vec<double> a, Vec<double> b) {
  return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_NLE_UQ)));
}
#else  // 16 bytes: SSE4 without fma (product and sum round apart), or NEON
FASTRNN_INLINE Vec<float> splat(float x) { return Vec<float>{x, x, x, x}; }
FASTRNN_INLINE Vec<double> splat(double x) { return Vec<double>{x, x}; }
#if defined(__aarch64__)
FASTRNN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
FASTRNN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
FASTRNN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) {
  return (Vec<float>)vminq_f32((float32x4_t)a, (float32x4_t)b);
}
FASTRNN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) {
  return (Vec<float>)vmaxq_f32((float32x4_t)a, (float32x4_t)b);
}
FASTRNN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return (Vec<double>)vminq_f64((float64x2_t)a, (float64x2_t)b);
}
FASTRNN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return (Vec<double>)vmaxq_f64((float64x2_t)a, (float64x2_t)b);
}
#else
FASTRNN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return a * b + c; }
FASTRNN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return a * b + c; }
FASTRNN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm_min_ps((__m128)a, (__m128)b); }
FASTRNN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return (Vec<float>)_mm_max_ps((__m128)a, (__m128)b); }
FASTRNN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) { return (Vec<double>)_mm_min_pd((__m128d)a, (__m128d)b); }
FASTRNN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return (Vec<double>)_mm_max_pd((__m128d)a, (__m128d)b); }
#endif
template <class T>
FASTRNN_INLINE Vec<T> load_lanes(const T* p, ptrdiff_t n) {
  Vec<T> v{};
  for (int i = 0; i < kLanes<T>; ++i) v[i] = i < n ? p[i] : T(0);
  return v;
}
template <class T>
FASTRNN_INLINE void store_lanes(T* p, Vec<T> v, ptrdiff_t n) {
  for (int i = 0; i < kLanes<T>; ++i)
    if (i < n) p[i] = v[i];
}
template <class V>
FASTRNN_INLINE unsigned lanes_not_at_most(V a, V b) {
  unsigned bits = 0;
  for (int i = 0; i < kLanes<ElementOf<V>>; ++i) bits |= static_cast<unsigned>(!(a[i] <= b[i])) << i;
  return bits;
}
FASTRNN_INLINE unsigned not_at_most(Vec<float> a, Vec<float> b) { return lanes_not_at_most(a, b); }
FASTRNN_INLINE unsigned not_at_most(Vec<double> a, Vec<double> b) { return lanes_not_at_most(a, b); }
FASTRNN_INLINE Vec<float> load_n(const float* p, ptrdiff_t n) { return load_lanes(p, n); }
FASTRNN_INLINE Vec<double> load_n(const double* p, ptrdiff_t n) { return load_lanes(p, n); }
FASTRNN_INLINE void store_n(float* p, Vec<float> v, ptrdiff_t n) { store_lanes(p, v, n); }
FASTRNN_INLINE void store_n(double* p, Vec<double> v, ptrdiff_t n) { store_lanes(p, v, n); }
#endif

template <class V>
FASTRNN_INLINE V constant(double x) {
  return splat(static_cast<ElementOf<V>>(x));
}

}  // namespace fastrnn::FASTRNN_ISA
