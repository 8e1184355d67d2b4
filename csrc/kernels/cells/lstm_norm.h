// LSTM with layer normalisation (Ba, Kiros and Hinton 2016, arXiv:1607.06450, supplement): LN(a) is gain a^ without
// bias.
//
//   i, f, o = sigmoid(LN(W x) + b + LN(R h) + b')    g = tanh(LN(W x) + b + LN(R h) + b')
//   c' = f c + i g                                   h' = o tanh(LN(c') + b'')
//
// Mean and deviation are those of all four gates, as in the paper, or of each.
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct LstmNorm : CellDefaults {
  static constexpr const char* kName = "lstm_norm";
  static constexpr int kSlots = 14;  // c'; i f g o; LN(c'); W x; R h
  static constexpr Slots kInput{6, 4}, kInner{0, 1};
  static constexpr int kStates = 2;  // h c
  static constexpr int kStages = 2;
  static constexpr List<Feed, 1> kFeeds{{{Operand::kBefore, 0, {10, 4}}}};
  static constexpr List<Norm, 3> kNorms{{{6, 4, 1}, {10, 4, 1}, {0, 1, 5, 1}}};
  static constexpr Slots gates_in(int stage) { return stage == 0 ? Slots{0, 5} : Slots{0, 0}; }
  static constexpr Slots gradients_in(int stage) { return stage == 0 ? Slots{1, 3} : Slots{4, 2}; }
  static constexpr int made_in(int state) { return state == 1 ? 0 : 1; }

  template <class V>
  FASTRNN_INLINE void recall(const V (&a)[kSlots], V (&s)[kStates], V*) {
    s[1] = fma(a[2], s[1], a[1] * a[3]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V* made, const V*) {
    if constexpr (kStage == 0) {
      a[1] = sigmoid(a[1]);
      a[2] = sigmoid(a[2]);
      a[3] = tanh(a[3]);
      a[4] = sigmoid(a[4]);
      recall(a, s, made);
      a[0] = s[1];
    } else {
      s[0] = a[4] * tanh(a[5]);
    }
  }

  // Between the stages a[0] becomes the gradient by c' through its normalisation.
  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&)[kStates], V (&d)[kStates],
                               const V*, const V*) {
    const V one = constant<V>(1.0);
    const V i = a[1], f = a[2], g = a[3], o = a[4];
    if constexpr (kStage == 1) {
      const V c = tanh(a[5]);
      a[4] = d[0] * c * (o * (one - o));
      a[5] = d[0] * o * fma(-c, c, one);
    } else {
      const V dc = d[1] + a[0];
      a[1] = dc * g * (i * (one - i));
      a[2] = dc * before[1] * (f * (one - f));
      a[3] = dc * i * fma(-g, g, one);
      d[1] = dc * f;
    }
  }
};

struct LstmNormByGate : LstmNorm {
  static constexpr const char* kName = "lstm_norm_by_gate";
  static constexpr List<Norm, 9> kNorms{
      {{6, 1, 1}, {7, 1, 2}, {8, 1, 3}, {9, 1, 4}, {10, 1, 1}, {11, 1, 2}, {12, 1, 3}, {13, 1, 4}, {0, 1, 5, 1}}};
};

}  // namespace fastrnn::FASTRNN_ISA
