// The simple recurrent network (Elman 1990).      h' = F(W x + b + R h)
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

// F, and F' in terms of h' = F(a).
struct Tanh {
  static constexpr const char* kName = "rnn_tanh";
  template <class V>
  FASTRNN_INLINE V value(V a) {
    return tanh(a);
  }
  template <class V>
  FASTRNN_INLINE V slope(V h) {
    return fma(-h, h, constant<V>(1.0));
  }
};
struct Sigmoid {
  static constexpr const char* kName = "rnn_sigmoid";
  template <class V>
  FASTRNN_INLINE V value(V a) {
    return sigmoid(a);
  }
  template <class V>
  FASTRNN_INLINE V slope(V h) {
    return h * (constant<V>(1.0) - h);
  }
};
struct Relu {
  static constexpr const char* kName = "rnn_relu";
  template <class V>
  FASTRNN_INLINE V value(V a) {
    return max(V{}, a);  // NaN comes through
  }
  template <class V>
  FASTRNN_INLINE V slope(V h) {
    return h > V{} ? constant<V>(1.0) : V{};
  }
};
struct Identity {
  static constexpr const char* kName = "rnn_identity";
  template <class V>
  FASTRNN_INLINE V value(V a) {
    return a;
  }
  template <class V>
  FASTRNN_INLINE V slope(V) {
    return constant<V>(1.0);
  }
};

template <class F>
struct Rnn : CellDefaults {
  static constexpr const char* kName = F::kName;
  static constexpr int kSlots = 1;
  static constexpr Slots kInput{0, 1};
  static constexpr int kStates = 1;  // h
  static constexpr List<Feed, 1> kFeeds{{{Operand::kBefore, 0, {0, 1}}}};

  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V*, const V*) {
    s[0] = a[0] = F::value(a[0]);
  }

  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&)[kStates], const V (&)[kStates], V (&d)[kStates], const V*,
                               const V*) {
    a[0] = d[0] * F::slope(a[0]);
  }
};

}  // namespace fastrnn::FASTRNN_ISA
