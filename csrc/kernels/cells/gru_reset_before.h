// Gated recurrent unit with the reset before the product (Cho et al. 2014, arXiv:1406.1078, PyTorch's roles of z).
//
//   r, z = sigmoid(W x + b + R h + b')    n = tanh(W x + b + R (r h) + b')    h' = (1 - z) n + z h
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct GruResetBefore : CellDefaults {
  static constexpr const char* kName = "gru_reset_before";
  static constexpr int kSlots = 3;  // r z n
  static constexpr Slots kInput{0, 3};
  static constexpr int kStates = 1;  // h
  static constexpr int kStages = 2;
  static constexpr int kMade = 1;  // r h
  static constexpr List<Feed, 2> kFeeds{{{Operand::kBefore, 0, {0, 2}}, {Operand::kMade, 0, {2, 1, 2}, 1}}};
  static constexpr bool kHiddenIsDirect = true;
  static constexpr Slots gates_in(int stage) { return stage == 0 ? Slots{0, 2} : Slots{2, 1}; }
  static constexpr Slots gradients_in(int stage) { return stage == 0 ? Slots{0, 1} : Slots{1, 2}; }

  template <class V>
  FASTRNN_INLINE void recall(const V (&a)[kSlots], V (&s)[kStates], V* made) {
    made[0] = a[0] * s[0];
  }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V* made, const V*) {
    if constexpr (kStage == 0) {
      a[0] = sigmoid(a[0]);
      a[1] = sigmoid(a[1]);
      recall(a, s, made);
    } else {
      a[2] = tanh(a[2]);
      s[0] = fma(a[1], s[0] - a[2], a[2]);
    }
  }

  // made: dL/d(r h), in stage 0.
  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&)[kStates], V (&d)[kStates],
                               const V* made, const V*) {
    const V one = constant<V>(1.0);
    if constexpr (kStage == 1) {
      const V z = a[1], n = a[2];
      a[1] = d[0] * (before[0] - n) * (z * (one - z));
      a[2] = d[0] * (one - z) * fma(-n, n, one);
      d[0] = d[0] * z;
    } else {
      const V r = a[0];
      a[0] = made[0] * before[0] * (r * (one - r));
      d[0] = fma(made[0], r, d[0]);
    }
  }
};

}  // namespace fastrnn::FASTRNN_ISA
