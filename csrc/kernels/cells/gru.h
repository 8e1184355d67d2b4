// Gated recurrent unit with the reset after the product, as in PyTorch and cuDNN.
//
//   r, z = sigmoid(W x + b + R h + b')    n = tanh(W x + b + r (R h + b'))    h' = (1 - z) n + z h
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct Gru : CellDefaults {
  static constexpr const char* kName = "gru";
  static constexpr int kSlots = 4;            // W x of n, r, z, R h of n; the gates of the matrices are r z n
  static constexpr Slots kInput{0, 3, 0, 2};  // n r z
  static constexpr int kStates = 1;           // h
  static constexpr List<Feed, 1> kFeeds{{{Operand::kBefore, 0, {1, 3}}}};
  static constexpr bool kHiddenIsDirect = true;

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V*, const V*) {
    const V r = sigmoid(a[1]), z = sigmoid(a[2]);
    const V n = tanh(fma(r, a[3], a[0]));
    s[0] = fma(z, s[0] - n, n);
    a[0] = n;
    a[1] = r;
    a[2] = z;
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&)[kStates], V (&d)[kStates],
                               const V*, const V*) {
    const V one = constant<V>(1.0);
    const V n = a[0], r = a[1], z = a[2];
    const V dn = d[0] * (one - z) * fma(-n, n, one);
    a[0] = dn;
    a[1] = dn * a[3] * (r * (one - r));
    a[2] = d[0] * (before[0] - n) * (z * (one - z));
    a[3] = dn * r;
    d[0] = d[0] * z;
  }
};

}  // namespace fastrnn::FASTRNN_ISA
