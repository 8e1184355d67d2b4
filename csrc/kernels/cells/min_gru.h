// minGRU (Feng et al. 2024, arXiv:2410.01201): gates that do not see h.
//
//   z = sigmoid(W x + b)    n = W x + b    h' = (1 - z) h + z n
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct MinGru : CellDefaults {
  static constexpr const char* kName = "min_gru";
  static constexpr int kSlots = 2;  // z n
  static constexpr Slots kInput{0, 2};
  static constexpr int kStates = 1;  // h
  static constexpr List<Feed, 0> kFeeds{};
  static constexpr bool kHiddenIsDirect = true, kKeeps = true;

  template <class V>
  FASTRNN_INLINE V keep(const V (&a)[kSlots]) {
    return constant<V>(1.0) - a[0];
  }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V*, const V*) {
    a[0] = sigmoid(a[0]);
    s[0] = fma(a[0], a[1] - s[0], s[0]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&)[kStates], V (&d)[kStates],
                               const V*, const V*) {
    const V one = constant<V>(1.0);
    const V z = a[0], n = a[1];
    a[0] = d[0] * (n - before[0]) * (z * (one - z));
    a[1] = d[0] * z;
    d[0] = d[0] * (one - z);
  }
};

}  // namespace fastrnn::FASTRNN_ISA
