// Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
//
//   i, f, o = sigmoid(W x + b + R h)    g = tanh(W x + b + R h)    c' = f c + i g    h' = o tanh(c')
#pragma once

#include "kernels/cell.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

struct Lstm : CellDefaults {
  static constexpr const char* kName = "lstm";
  static constexpr int kSlots = 4;      // i f g o: PyTorch's order
  static constexpr Slots kInput{0, 4};  // slots fed by W x
  static constexpr int kStates = 2;     // h c
  static constexpr List<Feed, 1> kFeeds{{{Operand::kBefore, 0, {0, 4}}}};

  // What backward needs again: states after the step, of those before it and the gates.
  template <class V>
  FASTRNN_INLINE void recall(const V (&a)[kSlots], V (&s)[kStates], V*) {
    s[1] = fma(a[1], s[1], a[0] * a[2]);
  }

  // a: pre-activations in, gates out.  s: states before in, after out.
  template <int kStage, class V>
  FASTRNN_INLINE void forward(V (&a)[kSlots], V (&s)[kStates], V* made, const V*) {
    a[0] = sigmoid(a[0]);
    a[1] = sigmoid(a[1]);
    a[2] = tanh(a[2]);
    a[3] = sigmoid(a[3]);
    recall(a, s, made);
    s[0] = a[3] * tanh(s[1]);
  }

  // a: gates in, gradients of the pre-activations out.  d: dL/dh' dL/dc' in, dL/dh (direct part) dL/dc out.
  template <int kStage, class V>
  FASTRNN_INLINE void backward(V (&a)[kSlots], const V (&before)[kStates], const V (&after)[kStates], V (&d)[kStates],
                               const V*, const V*) {
    const V one = constant<V>(1.0);
    const V i = a[0], f = a[1], g = a[2], o = a[3];
    const V c = tanh(after[1]);
    const V dc = fma(d[0] * o, fma(-c, c, one), d[1]);
    a[0] = dc * g * (i * (one - i));
    a[1] = dc * before[1] * (f * (one - f));
    a[2] = dc * i * fma(-g, g, one);
    a[3] = d[0] * c * (o * (one - o));
    d[1] = dc * f;
  }
};

}  // namespace fastrnn::FASTRNN_ISA
