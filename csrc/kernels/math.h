// exp, sigmoid and tanh of a vector: our own polynomials, without branches or tables.
//
// Every operation is one rounding of one lane, so all instruction sets with fma give the same bits.  Worst errors in
// ulp over every float32 (tests/cpp/math_sweep.cc): exp 1.01, sigmoid 1.96, tanh 1.75.
//
// The argument is split into a power of two and a remainder: x = n ln2 + r.  Results and intermediates below the
// smallest normal number may be zero (the kernels run with FTZ and DAZ set).  NaN comes through: in min and max the
// bound goes first for its sake.
//
// The polynomials are minimax (Remez) fits of the relative error on the intervals named at each.  The float32 ones of
// e^r were then moved by a few ulp of a coefficient by random search for the smallest worst error of sigmoid (2.03
// before).
#pragma once

#include "kernels/vec.h"

namespace fastrnn::FASTRNN_ISA {

// What depends on the width of the float.  kShifter has a last place of one: x / ln2 + (kShifter + bias) rounds to the
// nearest n and has n + bias in its low bits; shifted left by kMantissa these are the float 2^n.
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
  static constexpr double kExpLowest = -104.0;     // e^x < half the smallest subnormal
  static constexpr double kExpHighest = 89.0;      // e^x > the largest float
  static constexpr double kSigmoidLowest = -88.8;  // 2^n overflows there: sigmoid is 0
  static constexpr double kSigmoidHighest = 32.0;  // sigmoid is 1 from 17
  static constexpr double kTanhHighest = 9.2;      // tanh is 1 from 9.02
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
  static constexpr double kTanhHighest = 19.2;
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

// s e^r for |r| <= ln2 / 2, relative error 1.4e-8 float, 3.6e-18 double; exactly s at 0.
FASTRNN_INLINE Vec<float> scaled_exp(double s, Vec<float> r) {
  return polynomial(r, s, s, s * 0.4999999205, s * 0.1666652262, s * 0.04167082409, s * 0.008370320623,
                    s * 0.001368571538);
}
FASTRNN_INLINE Vec<double> scaled_exp(double s, Vec<double> r) {
  return polynomial(r, s, s, s * 0.50000000000000106691, s * 0.16666666666666411499, s * 0.041666666666529726758,
                    s * 0.0083333333334949862051, s * 0.0013888888943760211203, s * 0.00019841269505750885065,
                    s * 0.000024801492949462193399, s * 2.7557586826423195921e-6, s * 2.7630306292938541935e-7,
                    s * 2.5000011220052910948e-8);
}

// (tanh(r) - r) / r^3 as a polynomial in z = r^2, for |r| <= 3/8 ln2; relative error of tanh 3.9e-9 and 7.5e-18.
FASTRNN_INLINE Vec<float> tanh_near_0(Vec<float> z) {
  return polynomial(z, -0.33333216634436013, 0.13322770074117992, -0.051234797672408858);
}
FASTRNN_INLINE Vec<double> tanh_near_0(Vec<double> z) {
  return polynomial(z, -0.33333333333332429351, 0.13333333332990711351, -0.053968253528816483255,
                    0.021869461787567353712, -0.0088623630023242677961, 0.0035764207403965105039,
                    -0.0013077141925384008218);
}

template <class V>
FASTRNN_INLINE V exp(V x) {
  using T = ElementOf<V>;
  using F = FloatFormat<T>;
  // 2^n goes in as two factors, for alone it can overflow where e^x does not: hence two biases in the low bits.
  const V shifter = constant<V>(F::kShifter + 2 * F::kBias);
  x = min(constant<V>(F::kExpHighest), max(constant<V>(F::kExpLowest), x));
  const V shifted = fma(x, constant<V>(kLog2E), shifter);
  const V n = shifted - shifter;
  const V r = fma(n, constant<V>(-F::kLn2Low), fma(n, constant<V>(-F::kLn2High), x));
  const IntVec<T> half = ((IntVec<T>)shifted >> 1) << F::kMantissa;
  const IntVec<T> other = ((IntVec<T>)shifted << F::kMantissa) - half;
  return scaled_exp(1.0, r) * (V)half * (V)other;
}

// With u = 2^-n:   1 / (1 + e^-x) = e^r / (e^r + u).
// Numerator and denominator carry a factor of 1.5: the mantissas are then large where the quotient's is, which takes
// 0.4 ulp off the worst case (2.4 with a factor of 1).
template <class V>
FASTRNN_INLINE V sigmoid(V x) {
  using T = ElementOf<V>;
  using F = FloatFormat<T>;
  constexpr double kScale = 1.5;
  const V shifter = constant<V>(F::kShifter + F::kBias);
  x = min(constant<V>(F::kSigmoidHighest), max(constant<V>(F::kSigmoidLowest), x));
  const V shifted = fma(x, constant<V>(-kLog2E), shifter);
  const V minus_n = shifted - shifter;
  const V r = fma(minus_n, constant<V>(F::kLn2Low), fma(minus_n, constant<V>(F::kLn2High), x));
  const V u = (V)((IntVec<T>)shifted << F::kMantissa);
  const V e = scaled_exp(kScale, r);
  return e / fma(u, constant<V>(kScale), e);
}

// With |x| = n ln2/2 + r, v = 2^n / 2 and t = tanh(r):
//   tanh |x| = N / D,   N = (v + 1/2) t + (v - 1/2),   D = (v - 1/2) t + (v + 1/2) = N + (1 - t).
// For n = 0 this is t.  D is made of N so that the rounding of N almost cancels once both are large; apart they give
// 2.5 ulp.  n changes at (n - 1/4) ln2/2, from 0 to 1 at tanh = 0.254 and to 2 at 0.541, just past powers of two, for
// the quotient's last place is smallest, and its error largest, below them (2.35 ulp when n is the nearest integer).
// N <= D, so |tanh| <= 1; the sign is taken off and put back, so tanh is odd exactly.
template <class V>
FASTRNN_INLINE V tanh(V x) {
  using T = ElementOf<V>;
  using I = IntVec<T>;
  using F = FloatFormat<T>;
  // The last place of half the shifter is a half: round to halves, then drop the half.
  const V shifter = constant<V>(F::kShifter / 2 + F::kBias - 1);
  const I sign = (I)x & (I)constant<V>(-0.0);
  const V size = min(constant<V>(F::kTanhHighest), (V)((I)x ^ sign));
  const I whole = (I)fma(size, constant<V>(2 * kLog2E), shifter) & ~(I{} + 1);
  const V n = (V)whole - shifter;
  const V r = fma(n, constant<V>(-kLn2 / 2), size);
  const V z = r * r;
  const V t = fma(r * z, tanh_near_0(z), r);
  const V v = (V)(whole << (F::kMantissa - 1));
  const V half = constant<V>(0.5);
  const V numerator = fma(v + half, t, v - half);
  const V denominator = numerator + (constant<V>(1.0) - t);
  return (V)((I)numerator ^ sign) / denominator;  // the sign goes on while the denominator is summed
}

}  // namespace fastrnn::FASTRNN_ISA
