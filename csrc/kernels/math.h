// exp, sigmoid and tanh of a vector: our own polynomials, without branches or tables.
//
// Every operation is one rounding of one lane, so all instruction sets with fma give the same bits.  Measured by
// tests/cpp/math_sweep.cc, which holds the bounds.
//
// All three split the argument into a power of two and a remainder: x = n ln2/k + r with n the nearest integer.
// Results and intermediates below the smallest normal number may be zero (the kernels run with FTZ and DAZ set).
// NaN comes through; the bounds come first in min and max for its sake.
#pragma once

#include "kernels/vec.h"

namespace fastrnn::FASTRNN_ISA {

// What depends on the width of the float.  kShifter + n has n + bias in its low bits when |n| < 2^(mantissa - 2): its
// sum with x / ln2 rounds to the nearest n, and shifting its bits left by kMantissa leaves the float 2^n.
// ln2 = kLn2High + kLn2Low, kLn2High short enough for n * kLn2High to be exact also without fma.
template <class T>
struct FloatFormat;
template <>
struct FloatFormat<float> {
  static constexpr int kMantissa = 23;
  static constexpr int kBias = 127;
  static constexpr double kShifter = 0x1.8p23;
  static constexpr double kLn2High = 0.693359375;
  static constexpr double kLn2Low = -2.12194440054690583e-4;
  static constexpr double kExpLowest = -104.0;     // e^x < half the smallest denormal
  static constexpr double kExpHighest = 89.0;      // e^x > the largest float
  static constexpr double kSigmoidLowest = -88.8;  // n = bias + 1 there: e^-x is inf
  static constexpr double kSigmoidHighest = 32.0;  // 1 + e^-x == 1
  static constexpr double kTanhHighest = 9.2;      // n = 27: 2^n - 1 == 2^n + 1
};
template <>
struct FloatFormat<double> {
  static constexpr int kMantissa = 52;
  static constexpr int kBias = 1023;
  static constexpr double kShifter = 0x1.8p52;
  static constexpr double kLn2High = 6.93145751953125e-1;
  static constexpr double kLn2Low = 1.42860682030941723212e-6;
  static constexpr double kExpLowest = -746.0;
  static constexpr double kExpHighest = 710.0;
  static constexpr double kSigmoidLowest = -709.8;
  static constexpr double kSigmoidHighest = 64.0;
  static constexpr double kTanhHighest = 19.8;
};

inline constexpr double kLog2E = 1.44269504088896340736;
inline constexpr double kLn2 = 0.693147180559945309417;

// c0 + c1 x + c2 x^2 + ... by Horner's rule.
template <class V>
FASTRNN_INLINE V polynomial(V, double c0) {
  return constant<V>(c0);
}
template <class V, class... C>
FASTRNN_INLINE V polynomial(V x, double c0, C... c) {
  return fma(polynomial(x, c...), x, constant<V>(c0));
}

// The float whose bits are the low bits of v: 2^n for v = kShifter + bias + n, inf for n = bias + 1, 0 for n = -bias.
template <class V>
FASTRNN_INLINE V power_of_two(V v) {
  using T = ElementOf<V>;
  return (V)((IntVec<T>)v << FloatFormat<T>::kMantissa);
}

// e^r for |r| <= ln2 / 2, minimax in the relative error: 3.1e-9 float, 3.6e-18 double; exactly 1 at 0.
FASTRNN_INLINE Vec<float> exp_near_0(Vec<float> r) {
  return polynomial(r, 1.0, 1.0, 0.49999993434036975, 0.16666520398912850, 0.041668390148871232, 0.0083687451872628111,
                    0.0013814580417876824);
}
FASTRNN_INLINE Vec<double> exp_near_0(Vec<double> r) {
  return polynomial(r, 1.0, 1.0, 0.50000000000000106691, 0.16666666666666411499, 0.041666666666529726758,
                    0.0083333333334949862051, 0.0013888888943760211203, 0.00019841269505750885065,
                    0.000024801492949462193399, 2.7557586826423195921e-6, 2.7630306292938541935e-7,
                    2.5000011220052910948e-8);
}

// (tanh(r) - r) / r^3 as a polynomial in z = r^2, for |r| <= ln2 / 4.
FASTRNN_INLINE Vec<float> tanh_near_0(Vec<float> z) {
  return polynomial(z, -0.33333322746486121, 0.13331186653241310, -0.052727756723627236);
}
FASTRNN_INLINE Vec<double> tanh_near_0(Vec<double> z) {
  return polynomial(z, -0.33333333333332488179, 0.13333333332785212117, -0.053968252784247572695,
                    0.021869370863705095361, -0.0088573132873375748228, 0.0034448887597244111512);
}

template <class V>
FASTRNN_INLINE V exp(V x) {
  using T = ElementOf<V>;
  using F = FloatFormat<T>;
  // The bias is counted twice, for 2^n is applied as two factors: alone it can overflow where e^x does not.
  const V shifter = constant<V>(F::kShifter + 2 * F::kBias);
  x = min(constant<V>(F::kExpHighest), max(constant<V>(F::kExpLowest), x));
  const V shifted = fma(x, constant<V>(kLog2E), shifter);
  const V n = shifted - shifter;
  const V r = fma(n, constant<V>(-F::kLn2Low), fma(n, constant<V>(-F::kLn2High), x));
  const IntVec<T> half = ((IntVec<T>)shifted >> 1) << F::kMantissa;
  const IntVec<T> other = ((IntVec<T>)shifted << F::kMantissa) - half;
  return exp_near_0(r) * (V)half * (V)other;
}

// 1 / (1 + e^-x)
template <class V>
FASTRNN_INLINE V sigmoid(V x) {
  using F = FloatFormat<ElementOf<V>>;
  const V shifter = constant<V>(F::kShifter + F::kBias);
  x = min(constant<V>(F::kSigmoidHighest), max(constant<V>(F::kSigmoidLowest), x));
  const V shifted = fma(x, constant<V>(-kLog2E), shifter);
  const V n = shifted - shifter;
  const V r = fma(n, constant<V>(-F::kLn2Low), fma(n, constant<V>(-F::kLn2High), -x));
  const V one = constant<V>(1.0);
  return one / fma(exp_near_0(r), power_of_two(shifted), one);
}

// With x = n ln2/2 + r, v = 2^n and t = tanh(r):   tanh(x) = ((v + 1) t + (v - 1)) / ((v - 1) t + (v + 1)).
// For n = 0 this is 2t / 2.  -x turns every intermediate q into -q / v or q / v, a power of two: tanh is odd exactly.
// Numerator and denominator meet at n = 27 (57 double), and rounding is monotone: |tanh| <= 1.
template <class V>
FASTRNN_INLINE V tanh(V x) {
  using F = FloatFormat<ElementOf<V>>;
  const V shifter = constant<V>(F::kShifter + F::kBias);
  x = min(constant<V>(F::kTanhHighest), max(constant<V>(-F::kTanhHighest), x));
  const V shifted = fma(x, constant<V>(2 * kLog2E), shifter);
  const V n = shifted - shifter;
  const V r = fma(n, constant<V>(-kLn2 / 2), x);
  const V z = r * r;
  const V one = constant<V>(1.0);
  const V t = r * fma(z, tanh_near_0(z), one);  // r + r z w would lose the sign of -0
  const V v = power_of_two(shifted);
  const V one_minus_v = one - v;  // used as -(1 - v): -0 for n = 0, where v - 1 is +0 and would lose the sign too
  const V one_plus_v = one + v;
  return fma(one_plus_v, t, -one_minus_v) / fma(-one_minus_v, t, one_plus_v);
}

}  // namespace fastrnn::FASTRNN_ISA
