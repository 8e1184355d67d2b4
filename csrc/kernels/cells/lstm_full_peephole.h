// LSTM whose gates see all of the cell state: i and f of [c, h, x], o of [c', h, x], with dense weights C.
//
//   i, f = sigmoid(.. + C c)   g = tanh(..)   c' = f c + i g   o = sigmoid(.. + C c')   h' = o tanh(c')
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct LstmFullPeephole : CellDefaults {
  static constexpr const char* kName = "lstm_full_peephole";
  static constexpr int kSlots = 4;  // i f g o
  static constexpr Slots kInput{0, 4};
  static constexpr int kStates = 2;  // h c
  static constexpr int kStages = 2;
  static constexpr List<Feed, 3> kFeeds{{{Operand::kBefore, 0, {0, 4}},
                                         {Operand::kBefore, 1, {0, 2}, 0, 1},
                                         {Operand::kAfter, 1, {3, 1, 2}, 1, 1}}};  // C: i f o
  static constexpr Slots gates_in(int stage) { return stage == 0 ? Slots{0, 3} : Slots{3, 1}; }
  static constexpr Slots gradients_in(int stage) { return gates_in(stage); }
  static constexpr int made_in(int state) { return state == 1 ? 0 : 1; }

  template <class V>
  FASTRNN_INLINE void recall(const V (&a)[kSlots], V (&s)[kStates], V*) {
    s[1] = fma(a[1], s[1], a[0] * a[2]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V* made, const V*) {
    if constexpr (kStage == 0) {
      a[0] = sigmoid(a[0]);
      a[1] = sigmoid(a[1]);
      a[2] = tanh(a[2]);
      recall(a, s, made);
    } else {
      a[3] = sigmoid(a[3]);
      s[0] = a[3] * tanh(s[1]);
    }
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&after)[kStates], V (&d)[kStates],
                               const V*, const V*) {
    const V one = constant<V>(1.0);
    if constexpr (kStage == 1) {
      const V o = a[3], c = tanh(after[1]);
      a[3] = d[0] * c * (o * (one - o));
      d[1] = fma(d[0] * o, fma(-c, c, one), d[1]);
    } else {
      const V i = a[0], f = a[1], g = a[2];
      a[0] = d[1] * g * (i * (one - i));
      a[1] = d[1] * before[1] * (f * (one - f));
      a[2] = d[1] * i * fma(-g, g, one);
      d[1] = d[1] * f;
    }
  }
};

}  // namespace fastrnn::FASTRNN_ISA
