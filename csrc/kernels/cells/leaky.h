// Leaky integration, the slow context of Mikolov et al. 2015 (arXiv:1412.7753), each unit with a share a of its own.
//
//   u = W x + b    h' = a h + (1 - a) u    a = sigmoid(p)
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct Leaky : CellDefaults {
  static constexpr const char* kName = "leaky";
  static constexpr int kSlots = 2;  // u, and backward the share of this step in dp
  static constexpr Slots kInput{0, 1};
  static constexpr int kStates = 1;  // h
  static constexpr List<Feed, 0> kFeeds{};
  static constexpr bool kHiddenIsDirect = true;
  static constexpr List<Reduction, 1> kUnits{{{1}}};  // p
  static constexpr Slots gates_in(int) { return {0, 0}; }

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V*, const V* p) {
    s[0] = fma(sigmoid(p[0]), s[0] - a[0], a[0]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&)[kStates], V (&d)[kStates],
                               const V*, const V* p) {
    const V keep = sigmoid(p[0]), take = constant<V>(1.0) - keep;
    a[1] = d[0] * (before[0] - a[0]) * (keep * take);
    a[0] = d[0] * take;
    d[0] = d[0] * keep;
  }
};

}  // namespace fastrnn::FASTRNN_ISA
