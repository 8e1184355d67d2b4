// LSTM whose h is a projection, narrower than c (Sak et al. 2014, arXiv:1402.1128; PyTorch's proj_size).
//
//   i, f, o = sigmoid(W x + b + R h)   g = tanh(W x + b + R h)   c' = f c + i g   h' = Q (o tanh(c'))
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct LstmProjected : CellDefaults {
  static constexpr const char* kName = "lstm_projected";
  static constexpr int kSlots = 5;  // i f g o h'
  static constexpr Slots kInput{0, 4};
  static constexpr int kStates = 2;  // h c
  static constexpr int kStages = 2;
  static constexpr int kMade = 1;  // o tanh(c')
  static constexpr bool kProjects = true;
  static constexpr List<Feed, 2> kFeeds{{{Operand::kBefore, 0, {0, 4}}, {Operand::kMade, 0, {4, 1}, 1, 1}}};
  static constexpr Slots gates_in(int stage) { return stage == 0 ? Slots{0, 4} : Slots{4, 0}; }
  static constexpr Slots gradients_in(int stage) { return stage == 0 ? Slots{0, 4} : Slots{4, 1}; }
  static constexpr int made_in(int state) { return state == 1 ? 0 : 1; }

  template <class V>
  FASTRNN_INLINE void recall(const V (&a)[kSlots], V (&s)[kStates], V* made) {
    s[1] = fma(a[1], s[1], a[0] * a[2]);
    made[0] = a[3] * tanh(s[1]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V* made, const V*) {
    if constexpr (kStage == 0) {
      a[0] = sigmoid(a[0]);
      a[1] = sigmoid(a[1]);
      a[2] = tanh(a[2]);
      a[3] = sigmoid(a[3]);
      recall(a, s, made);
    } else {
      s[0] = a[4];
    }
  }

  // made: dL/d(o tanh(c')), in stage 0.
  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&after)[kStates], V (&d)[kStates],
                               const V* made, const V*) {
    if constexpr (kStage == 1) {
      a[4] = d[0];
    } else {
      const V one = constant<V>(1.0);
      const V i = a[0], f = a[1], g = a[2], o = a[3];
      const V c = tanh(after[1]);
      const V dc = fma(made[0] * o, fma(-c, c, one), d[1]);
      a[0] = dc * g * (i * (one - i));
      a[1] = dc * before[1] * (f * (one - f));
      a[2] = dc * i * fma(-g, g, one);
      a[3] = made[0] * c * (o * (one - o));
      d[1] = dc * f;
    }
  }
};

}  // namespace fastrnn::FASTRNN_ISA
