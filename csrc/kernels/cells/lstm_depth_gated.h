// LSTM with a gate d for the c of the level below in the same step, e (Yao et al. 2015, arXiv:1508.03790).
//
//   i, f, o = sigmoid(W x + b + R h)   g = tanh(W x + b + R h)   d = sigmoid(W x + b + w_c c + w_l e)
//   c' = f c + i g + d e               h' = o tanh(c')
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct LstmDepthGated : CellDefaults {
  static constexpr const char* kName = "lstm_depth_gated";
  static constexpr int kSlots = 6;  // i f g o d e
  static constexpr Slots kInput{0, 5};
  static constexpr int kSide = 5;
  static constexpr int kStates = 2;  // h c
  static constexpr List<Feed, 1> kFeeds{{{Operand::kBefore, 0, {0, 4}}}};
  static constexpr List<Reduction, 2> kUnits{{{4, 1, Operand::kBefore}, {4, 1, Operand::kSide}}};  // w_c w_l

  template <class V>
  FASTRNN_INLINE void recall(const V (&a)[kSlots], V (&s)[kStates], V*) {
    s[1] = fma(a[1], s[1], fma(a[4], a[5], a[0] * a[2]));
  }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V* made, const V* w) {
    a[0] = sigmoid(a[0]);
    a[1] = sigmoid(a[1]);
    a[2] = tanh(a[2]);
    a[3] = sigmoid(a[3]);
    a[4] = sigmoid(fma(w[0], s[1], fma(w[1], a[5], a[4])));
    recall(a, s, made);
    s[0] = a[3] * tanh(s[1]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&after)[kStates], V (&d)[kStates],
                               const V*, const V* w) {
    const V one = constant<V>(1.0);
    const V i = a[0], f = a[1], g = a[2], o = a[3], gate = a[4], e = a[5];
    const V c = tanh(after[1]);
    const V dc = fma(d[0] * o, fma(-c, c, one), d[1]);
    a[0] = dc * g * (i * (one - i));
    a[1] = dc * before[1] * (f * (one - f));
    a[2] = dc * i * fma(-g, g, one);
    a[3] = d[0] * c * (o * (one - o));
    a[4] = dc * e * (gate * (one - gate));
    a[5] = fma(a[4], w[1], dc * gate);
    d[1] = fma(a[4], w[0], dc * f);
  }
};

}  // namespace fastrnn::FASTRNN_ISA
