// Layer normalisation of a row of `saved` (Ba, Kiros and Hinton 2016, arXiv:1607.06450), between products and
// pointwise:
//
//   x^ = (x - mean) / deviation    a += gain x^    over all units of a run of slots;  deviation^2 = variance + 1e-5
//
// A row is worked on by one thread alone.  Its sums have 16 virtual lanes for each slot, whatever the vectors.
#pragma once

#include "kernels/state_noise.h"

namespace fastrnn::FASTRNN_ISA {

inline constexpr double kNormEpsilon = 1e-5;

FASTRNN_INLINE float square_root_of(float x) { return __builtin_sqrtf(x); }
FASTRNN_INLINE double square_root_of(double x) { return __builtin_sqrt(x); }

// The first `valid` lanes; the others zero.
template <class T>
FASTRNN_INLINE Vec<T> only_units(Vec<T> v, ptrdiff_t valid) {
  if (valid >= kLanes<T>) return v;
  T lanes[kLanes<T>];
  store(lanes, v);
  return load_n(lanes, max_of(0, valid));
}

// 16 virtual lanes into one number, by halves.
template <class T>
FASTRNN_INLINE T joined(T (&lanes)[kBlock]) {
  for (int width = kBlock / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] = lanes[i] + lanes[i + width];
  return lanes[0];
}

// The normalisations of one cell.  gain, bias: of a row, in the order of its slots.
template <class Cell, class T>
struct RowNorms {
  using V = Vec<T>;
  static constexpr int kNorms = Cell::kNorms.count;
  const T *gain, *bias;
  ptrdiff_t blocks, hidden, inverses;  // inverses: where in a row 1 / deviation of each norm is kept

  // f(norm, place of the slot among its slots) for all slots that are normalised before a stage: both constants.
  template <int kStage, class F>
  FASTRNN_INLINE void for_slots(F f) {
    for_norms<kStage>([&](auto i) { for_constants<Cell::kNorms.at[i].count>([&](auto k) { f(i, k); }); });
  }
  template <int kStage, class F>
  FASTRNN_INLINE void for_norms(F f) {
    for_constants<kNorms>([&](auto i) {
      if constexpr (Cell::kNorms.at[i].stage == kStage) f(i);
    });
  }
  static constexpr ptrdiff_t from(int norm, int k) { return (Cell::kNorms.at[norm].first + k) * kBlock; }
  static constexpr ptrdiff_t to(int norm, int k) { return (Cell::kNorms.at[norm].to + k) * kBlock; }

  // The first norm that adds into a slot finds the bias there.
  static constexpr bool first_into(int norm, int slot) {
    for (int i = 0; i < norm; ++i)
      if (Traits<Cell>::has({Cell::kNorms.at[i].to, Cell::kNorms.at[i].count}, slot)) return false;
    return true;
  }

  // Means over each norm of the stage.  f(norm, k, column, unit, sum) adds to sum[0 .. kSets): a chain over the blocks
  // for each slot and virtual lane.  Slots of a norm are then added in order, and lanes by halves.
  template <int kStage, int kSets, class F>
  FASTRNN_INLINE void means(ptrdiff_t blocks, ptrdiff_t hidden, T (&mean)[kSets][kNorms], F f) {
    alignas(64) T lanes[kSets][kNorms][kBlock];
    for (ptrdiff_t lane = 0; lane < kBlock; lane += kLanes<T>) {
      V sum[Cell::kSlots][kSets] = {};
      for (ptrdiff_t block = 0; block < blocks; ++block)
        for_slots<kStage>([&](auto i, auto k) {
          f(i, k, block * kBlock * Cell::kSlots + lane, block * kBlock + lane, sum[Cell::kNorms.at[i].first + k]);
        });
      for_norms<kStage>([&](auto i) {
        constexpr Norm n = Cell::kNorms.at[i];
        for_constants<kSets>([&](auto set) {
          V whole = sum[n.first][set];
          for_constants<n.count - 1>([&](auto k) { whole = whole + sum[n.first + k + 1][set]; });
          store(lanes[set][i] + lane, whole);
        });
      });
    }
    for_norms<kStage>([&](auto i) {
      for (int set = 0; set < kSets; ++set)
        mean[set][i] = joined(lanes[set][i]) / static_cast<T>(hidden * Cell::kNorms.at[i].count);
    });
  }

  // f(column, unit) for all vectors of slot 0.
  template <class F>
  FASTRNN_INLINE void for_vectors(ptrdiff_t blocks, F f) {
    for (ptrdiff_t block = 0; block < blocks; ++block)
#pragma GCC unroll 1
      for (ptrdiff_t lane = 0; lane < kBlock; lane += kLanes<T>)
        f(block * kBlock * Cell::kSlots + lane, block * kBlock + lane);
  }

  // Forward, before the pointwise of a stage.
  template <int kStage>
  void normalise(T* row) const {
    T mean[1][kNorms], variance[1][kNorms];
    V middle[kNorms], inverse[kNorms];
    means<kStage>(blocks, hidden, mean, [&](auto i, auto k, ptrdiff_t column, ptrdiff_t, V(&sum)[1]) {
      sum[0] = sum[0] + load(row + column + from(i, k));
    });
    for_norms<kStage>([&](auto i) { middle[i] = splat(mean[0][i]); });
    means<kStage>(blocks, hidden, variance, [&](auto i, auto k, ptrdiff_t column, ptrdiff_t unit, V(&sum)[1]) {
      const V d = only_units<T>(load(row + column + from(i, k)) - middle[i], hidden - unit);
      sum[0] = fma(d, d, sum[0]);
    });
    for_norms<kStage>([&](auto i) {
      row[inverses + i] = T(1) / square_root_of(variance[0][i] + static_cast<T>(kNormEpsilon));
      inverse[i] = splat(row[inverses + i]);
    });
    for_vectors(blocks, [&](ptrdiff_t column, ptrdiff_t unit) {
      V value[Cell::kSlots];
      for_slots<kStage>([&](auto i, auto k) {
        constexpr int slot = Cell::kNorms.at[i].to + k;
        T *const x = row + column + from(i, k), *const a = row + column + to(i, k);
        const V normal = only_units<T>((load(x) - middle[i]) * inverse[i], hidden - unit);
        store(x, normal);
        const V before = first_into(i, slot) ? load(bias + column + to(i, k)) : value[slot];
        value[slot] = fma(load(gain + column + from(i, k)), normal, before);
        store(a, value[slot]);
      });
    });
  }

  // Backward, after the pointwise of a stage: the gradient by what was normalised takes its place; that of the gain,
  // which is to be summed, goes into the same slots of `terms`.
  template <int kStage>
  void back(T* row, T* terms) const {
    T mean[2][kNorms];
    V middle[kNorms], slope[kNorms], inverse[kNorms];
    means<kStage>(blocks, hidden, mean, [&](auto i, auto k, ptrdiff_t column, ptrdiff_t, V(&sum)[2]) {
      const V d = load(row + column + to(i, k)) * load(gain + column + from(i, k));
      sum[0] = sum[0] + d;
      sum[1] = fma(d, load(row + column + from(i, k)), sum[1]);
    });
    for_norms<kStage>([&](auto i) {
      middle[i] = splat(mean[0][i]);
      slope[i] = splat(mean[1][i]);
      inverse[i] = splat(row[inverses + i]);
    });
    for_vectors(blocks, [&](ptrdiff_t column, ptrdiff_t unit) {
      for_slots<kStage>([&](auto i, auto k) {
        T* const place = row + column + from(i, k);
        const V given = load(row + column + to(i, k)), x = load(place);
        store(terms + column + from(i, k), given * x);
        const V d = given * load(gain + column + from(i, k));  // no fma with the mean: of one unit, zero is left
        store(place, only_units<T>(fma(-x, slope[i], d - middle[i]) * inverse[i], hidden - unit));
      });
    });
  }
};

}  // namespace fastrnn::FASTRNN_ISA
