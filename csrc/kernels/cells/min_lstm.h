// minLSTM (Feng et al. 2024, arXiv:2410.01201), with the gates normalised to a sum of one.
//
//   f, i = sigmoid(W x + b)    n = W x + b    h' = (f h + i n) / (f + i)
//
// The slots keep the pre-activations u and v of f and i: where both gates are 0, their ratio is not lost.
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct MinLstm : CellDefaults {
  static constexpr const char* kName = "min_lstm";
  static constexpr int kSlots = 3;  // u v n
  static constexpr Slots kInput{0, 3};
  static constexpr int kStates = 1;  // h
  static constexpr List<Feed, 0> kFeeds{};
  static constexpr bool kHiddenIsDirect = true, kKeeps = true;

  // Bounded, as infinity less infinity is no number.
  // f / (f + i) = (1 + e^-v) / (1 + e^-v + 1 + e^-u), both sides times e^m so that no power is positive.
  template <class V>
  FASTRNN_INLINE V kept(V u, V v) {
    const V lowest = constant<V>(-1e30);
    u = max(lowest, u);
    v = max(lowest, v);
    const V m = min(V{}, min(u, v));
    const V e = exp(m), by_v = e + exp(m - v), by_u = e + exp(m - u);
    return by_v / (by_v + by_u);
  }

  template <class V>
  FASTRNN_INLINE V keep(const V (&a)[kSlots]) {
    return kept(a[0], a[1]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V*, const V*) {
    s[0] = fma(kept(a[0], a[1]), s[0] - a[2], a[2]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&)[kStates], V (&d)[kStates],
                               const V*, const V*) {
    const V keep = kept(a[0], a[1]), take = constant<V>(1.0) - keep;
    const V dkeep = d[0] * (before[0] - a[2]) * (keep * take);
    a[0] = dkeep * sigmoid(-a[0]);
    a[1] = -dkeep * sigmoid(-a[1]);
    a[2] = d[0] * take;
    d[0] = d[0] * keep;
  }
};

}  // namespace fastrnn::FASTRNN_ISA
