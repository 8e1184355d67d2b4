// LSTM with coupled input and forget gates (CIFG, Greff et al. 2017): i = 1 - f.
//
//   f, o = sigmoid(W x + b + R h)    g = tanh(W x + b + R h)    c' = f c + (1 - f) g    h' = o tanh(c')
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct LstmCoupled : CellDefaults {
  static constexpr const char* kName = "lstm_coupled";
  static constexpr int kSlots = 3;  // f g o
  static constexpr Slots kInput{0, 3};
  static constexpr int kStates = 2;  // h c
  static constexpr List<Feed, 1> kFeeds{{{Operand::kBefore, 0, {0, 3}}}};

  template <class V>
  FASTRNN_INLINE void recall(const V (&a)[kSlots], V (&s)[kStates], V*) {
    s[1] = fma(a[0], s[1] - a[1], a[1]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V* made, const V*) {
    a[0] = sigmoid(a[0]);
    a[1] = tanh(a[1]);
    a[2] = sigmoid(a[2]);
    recall(a, s, made);
    s[0] = a[2] * tanh(s[1]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&after)[kStates], V (&d)[kStates],
                               const V*, const V*) {
    const V one = constant<V>(1.0);
    const V f = a[0], g = a[1], o = a[2];
    const V c = tanh(after[1]);
    const V dc = fma(d[0] * o, fma(-c, c, one), d[1]);
    a[0] = dc * (before[1] - g) * (f * (one - f));
    a[1] = dc * (one - f) * fma(-g, g, one);
    a[2] = d[0] * c * (o * (one - o));
    d[1] = dc * f;
  }
};

}  // namespace fastrnn::FASTRNN_ISA
