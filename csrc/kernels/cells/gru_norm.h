// GRU with layer normalisation (Ba, Kiros and Hinton 2016, arXiv:1607.06450, supplement): LN(a) is gain a^ without
// bias.
//
//   r, z = sigmoid(LN(W x) + b + LN(R h) + b')    n = tanh(LN(W x) + b + r (LN(R h) + b'))    h' = (1 - z) n + z h
//
// Mean and deviation are those of r and z together and of n apart, as in the paper, or of each gate.
#pragma once

#include "kernels/cells/gru.h"

namespace fastrnn::FASTRNN_ISA {

struct GruNorm : CellDefaults {
  static constexpr const char* kName = "gru_norm";
  static constexpr int kSlots = 10;  // those of Gru; W x of n r z; R h of r z n
  static constexpr Slots kInput{4, 3, 0, 2};
  static constexpr int kStates = 1;  // h
  static constexpr List<Feed, 1> kFeeds{{{Operand::kBefore, 0, {7, 3}}}};
  static constexpr List<Norm, 4> kNorms{{{4, 1, 0}, {5, 2, 1}, {7, 2, 1}, {9, 1, 3}}};
  static constexpr bool kHiddenIsDirect = true;
  static constexpr Slots gates_in(int) { return {0, Gru::kSlots}; }
  static constexpr Slots gradients_in(int) { return {0, Gru::kSlots}; }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V* made, const V* p) {
    V gates[Gru::kSlots] = {a[0], a[1], a[2], a[3]};
    Gru::forward<kStage>(gates, s, made, p);
    for (int k = 0; k < Gru::kSlots; ++k) a[k] = gates[k];
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&after)[kStates], V (&d)[kStates],
                               const V* made, const V* p) {
    V gates[Gru::kSlots] = {a[0], a[1], a[2], a[3]};
    Gru::backward<kStage>(gates, before, after, d, made, p);
    for (int k = 0; k < Gru::kSlots; ++k) a[k] = gates[k];
  }
};

struct GruNormByGate : GruNorm {
  static constexpr const char* kName = "gru_norm_by_gate";
  static constexpr List<Norm, 6> kNorms{{{4, 1, 0}, {5, 1, 1}, {6, 1, 2}, {7, 1, 1}, {8, 1, 2}, {9, 1, 3}}};
};

}  // namespace fastrnn::FASTRNN_ISA
