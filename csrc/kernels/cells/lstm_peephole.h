// LSTM with peepholes (Gers and Schmidhuber 2000): i and f see c, o sees c', each unit its own.
//
//   i = sigmoid(.. + p_i c)   f = sigmoid(.. + p_f c)   g = tanh(..)   c' = f c + i g
//   o = sigmoid(.. + p_o c')  h' = o tanh(c')           .. = W x + b + R h
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct LstmPeephole : CellDefaults {
  static constexpr const char* kName = "lstm_peephole";
  static constexpr int kSlots = 4;  // i f g o
  static constexpr Slots kInput{0, 4};
  static constexpr int kStates = 2;  // h c
  static constexpr List<Feed, 1> kFeeds{{{Operand::kBefore, 0, {0, 4}}}};
  static constexpr List<Reduction, 3> kUnits{
      {{0, 1, Operand::kBefore}, {1, 1, Operand::kBefore}, {3, 1, Operand::kAfter}}};  // p_i p_f p_o

  template <class V>
  FASTRNN_INLINE void recall(const V (&a)[kSlots], V (&s)[kStates], V*) {
    s[1] = fma(a[1], s[1], a[0] * a[2]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V* made, const V* p) {
    a[0] = sigmoid(fma(p[0], s[1], a[0]));
    a[1] = sigmoid(fma(p[1], s[1], a[1]));
    a[2] = tanh(a[2]);
    recall(a, s, made);
    a[3] = sigmoid(fma(p[2], s[1], a[3]));
    s[0] = a[3] * tanh(s[1]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&after)[kStates], V (&d)[kStates],
                               const V*, const V* p) {
    const V one = constant<V>(1.0);
    const V i = a[0], f = a[1], g = a[2], o = a[3];
    const V c = tanh(after[1]);
    a[3] = d[0] * c * (o * (one - o));
    const V dc = fma(a[3], p[2], fma(d[0] * o, fma(-c, c, one), d[1]));
    a[0] = dc * g * (i * (one - i));
    a[1] = dc * before[1] * (f * (one - f));
    a[2] = dc * i * fma(-g, g, one);
    d[1] = fma(a[1], p[1], fma(a[0], p[0], dc * f));
  }
};

}  // namespace fastrnn::FASTRNN_ISA
