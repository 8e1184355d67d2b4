// What training does to states besides the cell; definitions: fastrnn/reference/state_noise.py.
#pragma once

#include "kernels/math.h"
#include "kernels/sequence.h"

namespace fastrnn::FASTRNN_ISA {

// Zoneout (Krueger et al. 2016, arXiv:1606.01305) of the states that a stage has made: a share z of the old one stays.
// Of one step, row and vector of units; without kZones it does nothing.
template <class Cell, int kStage, bool kZones, class T>
struct ZoneOut {
  using V = Vec<T>;
  const StateNoise<T>& noise;
  V z[Cell::kStates], past[Cell::kStates];  // past: the old state, or the gradient that goes to it past the cell

  bool falls_on(int j) const { return kZones && Traits<Cell>::made_in(j) == kStage && noise.zone[j].p != nullptr; }

  ZoneOut(const StateNoise<T>& n, const Shape& s, ptrdiff_t t, ptrdiff_t b, ptrdiff_t unit, ptrdiff_t valid)
      : noise(n) {
    for (int j = 0; j < Cell::kStates; ++j) {
      z[j] = past[j] = V{};
      if (falls_on(j)) z[j] = load_units(s.at(n.zone[j], t).p + b * n.zone[j].inner + unit, valid);
    }
  }
  void keep(const V (&state)[Cell::kStates]) {
    for (int j = 0; j < Cell::kStates; ++j)
      if (falls_on(j)) past[j] = state[j];
  }
  // What the cell has made in, what is left of it out.
  void forward(V (&state)[Cell::kStates]) const {
    for (int j = 0; j < Cell::kStates; ++j)
      if (falls_on(j)) state[j] = fma(z[j], past[j], (constant<V>(1.0) - z[j]) * state[j]);
  }
  // The gradient by the state in, by what the cell has made out.
  void backward(V (&d)[Cell::kStates]) {
    for (int j = 0; j < Cell::kStates; ++j)
      if (falls_on(j)) {
        past[j] = z[j] * d[j];
        d[j] = (constant<V>(1.0) - z[j]) * d[j];
      }
  }
};

// What products read h, or a made value, times.
template <class T>
FASTRNN_INLINE Vec<T> dropped_units(const StateNoise<T>& noise, ptrdiff_t b, ptrdiff_t unit, ptrdiff_t valid) {
  return load_units(noise.drop.p + b * noise.drop.inner + unit, valid);
}
// h before step t as products read it, for some rows and blocks of units.
template <class T>
FASTRNN_INLINE void drop_hidden(const StateNoise<T>& noise, const Shape& s, ptrdiff_t t, Rows<const T> hidden,
                                const BatchRows& rows, Range blocks) {
  for_units<T>(rows, blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
    const ptrdiff_t valid = s.output() - unit;
    store(noise.at(s, t) + b * round_to_block(s.output()) + unit,
          load_units(hidden.p + b * hidden.inner + unit, valid) * dropped_units(noise, b, unit, valid));
  });
}

// From gradients by what products read to those by h, or by a made value: rows of the blocks, `stride` apart.
template <class T>
FASTRNN_INLINE void drop_gradients(const StateNoise<T>& noise, const Shape& s, const BatchRows& rows, Range blocks,
                                   T* d, ptrdiff_t stride) {
  for_units<T>(rows, blocks, [&](ptrdiff_t b, ptrdiff_t unit) {
    T* at = d + (b - rows.begin) * stride + unit - blocks.begin * kBlock;
    store(at, load(at) * dropped_units(noise, b, unit, s.output() - unit));
  });
}

}  // namespace fastrnn::FASTRNN_ISA
