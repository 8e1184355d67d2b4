// One step of word2vec: m inputs against a group of n outputs.
//
//   score   s_jn = <x_j, o_n>                     a small matrix product, its results in registers
//   error   g_jn = lr (label_n - sigmoid(s_jn))
//   apply   x_j += sum_n g_jn o_n                  both from the rows before the step
//           o_n += sum_j g_jn x_j
//
// Skip-gram: the inputs are the contexts, the outputs the centre word and its negatives, or the nodes of its path.
// CBOW: one input, the mean of the contexts or all of them joined, whose gradient goes to a buffer of its own.
// The tags of a document are inputs like contexts: of skip-gram they make PV-DBOW, of CBOW PV-DM.
#pragma once

#include <utility>

#include "base/word2vec.h"
#include "kernels/grid.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA::w2v {

using V = Vec<float>;
using Lanes = IntVec<float>;
inline constexpr int kWidth = kLanes<float>;
inline constexpr int kParts = static_cast<int>(kBlock) / kWidth;      // vectors in the virtual width of 16 lanes
inline constexpr int kGroup = 6;                                      // most outputs of a step
inline constexpr int kTile = kWidth == 16 ? 4 : kWidth == 8 ? 2 : 1;  // inputs in a tile: kTile * kGroup accumulators
inline constexpr ptrdiff_t kScoreSlack = 16;                          // floats past the scores that may be written

template <int H, int... I>
FASTRNN_INLINE V swapped(V v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, (I ^ H)...);
}
template <int H, int... I>
FASTRNN_INLINE Lanes upper(std::integer_sequence<int, I...>) {
  return Lanes{((I & H) ? -1 : 0)...};
}

// Lane l of the result has a[l] + a[l ^ H] where l & H is 0, else the same of b.
template <int H>
FASTRNN_INLINE V combined(V a, V b) {
  constexpr auto lanes = std::make_integer_sequence<int, kWidth>{};
  const Lanes mask = upper<H>(lanes);
  return (mask ? b : a) + swapped<H>(mask ? a : b, lanes);
}

// Lane l of the result is the sum over lanes of acc[l], for l < R <= kWidth.  Lanes are added in the order l + 8, + 4,
// + 2, + 1 whatever the width, so all instruction sets with fma give the same bits.
template <int H, int Offset, int R>
FASTRNN_INLINE V lane_sums(const V* acc) {
  if constexpr (H == kWidth) {
    return acc[Offset];
  } else {
    const V a = lane_sums<2 * H, Offset, R>(acc);
    if constexpr (Offset + H < R)
      return combined<H>(a, lane_sums<2 * H, Offset + H, R>(acc));
    else
      return a + swapped<H>(a, std::make_integer_sequence<int, kWidth>{});
  }
}

template <int R, int First = 0>
FASTRNN_INLINE void store_lane_sums(const V* acc, float* s) {
  if constexpr (First < R) {
    constexpr int n = R - First < kWidth ? R - First : kWidth;
    store(s + First, lane_sums<1, 0, n>(acc + First));
    store_lane_sums<R, First + kWidth>(acc, s);
  }
}

// Products of M inputs with N outputs over the lanes [part * kWidth, (part + 1) * kWidth) of every block of 16.
template <int M, int N>
FASTRNN_INLINE void products(const float* const* x, const float* const* o, ptrdiff_t columns, int part, V* acc) {
  for (int i = 0; i < M * N; ++i) acc[i] = V{};
  for (ptrdiff_t c = part * kWidth; c < columns; c += kBlock) {
    V row[M];
    for (int j = 0; j < M; ++j) row[j] = load(x[j] + c);
    for (int n = 0; n < N; ++n) {
      const V out = load(o[n] + c);
      for (int j = 0; j < M; ++j) acc[j * N + n] = fma(row[j], out, acc[j * N + n]);
    }
  }
}

// s: [M, N], and kScoreSlack floats that may be overwritten.
template <int M, int N>
FASTRNN_INLINE void score_tile(const float* const* x, const float* const* o, ptrdiff_t columns, float* s) {
  constexpr int R = M * N;
  V sums[kParts][R];
  for (int part = 0; part < kParts; ++part) products<M, N>(x, o, columns, part, sums[part]);
  for (int half = kParts / 2; half >= 1; half /= 2)
    for (int part = 0; part < half; ++part)
      for (int i = 0; i < R; ++i) sums[part][i] += sums[part + half][i];
  store_lane_sums<R>(sums[0], s);
}

// s: [m, N] and slack.
template <int N>
void score(const float* const* x, ptrdiff_t m, const float* const* o, ptrdiff_t columns, float* s) noexcept {
  ptrdiff_t j = 0;
  for (; j + kTile <= m; j += kTile) score_tile<kTile, N>(x + j, o, columns, s + j * N);
  if constexpr (kTile == 4)
    if (m - j == 3) return score_tile<3, N>(x + j, o, columns, s + j * N);
  if constexpr (kTile >= 4)
    if (m - j == 2) return score_tile<2, N>(x + j, o, columns, s + j * N);
  if constexpr (kTile >= 2)
    if (m - j == 1) score_tile<1, N>(x + j, o, columns, s + j * N);
}

// The first n lanes, and 1 in the others.
FASTRNN_INLINE V first_or_one(V v, ptrdiff_t n) {
  for (int k = 0; k < kWidth; ++k) v[k] = k < n ? v[k] : 1;
  return v;
}

// Sum of log(1 + e^-z), z = s where label is 1 and -s where it is 0, over `count` scores.  The factors 1 + e^-|z| are
// at most 2 and are multiplied, so a logarithm is taken once in 512 of them.
FASTRNN_INLINE double negative_log_likelihood(const float* s, const float* labels, ptrdiff_t count) {
  constexpr ptrdiff_t kStretch = 512;
  double loss = 0;
  for (ptrdiff_t first = 0; first < count; first += kStretch) {
    V linear{}, factors = constant<V>(1.0);
    for (ptrdiff_t i = first; i < min_of(count, first + kStretch); i += kWidth) {
      const ptrdiff_t n = min_of(ptrdiff_t{kWidth}, count - i);
      const V label = load_n(labels + i, n);
      const V z = load_n(s + i, n) * (constant<V>(1.0) - (label + label));  // the loss is log(1 + e^z)
      const V factor = constant<V>(1.0) + exp(-max(z, -z));
      linear += max(V{}, z);
      factors *= n == kWidth ? factor : first_or_one(factor, n);
    }
    double product = 1;
    for (int k = 0; k < kWidth; ++k) {
      loss += static_cast<double>(linear[k]);
      product *= static_cast<double>(factors[k]);
    }
    loss += __builtin_log(product);
  }
  return loss;
}

// s -> lr (label - sigmoid(s)).  s, labels: [count] and slack.
FASTRNN_INLINE void errors(float* s, const float* labels, ptrdiff_t count, float rate) {
  for (ptrdiff_t i = 0; i < count; i += kWidth) store(s + i, splat(rate) * (load(labels + i) - sigmoid(load(s + i))));
}

enum class Into { kInputs, kLockedInputs, kGradient };

// Columns [columns.begin, columns.end) of a step, both a multiple of kWidth.  kInputs: x_j is updated; kLockedInputs:
// by its factor locks[j]; kGradient: x stays, the updates are added into `gradient`.  Rows are updated one after the
// other, so a row may be there twice.  With `fixed` the outputs stay.
template <int N, Into kInto>
void apply(float* const* x, ptrdiff_t m, const float* locks, float* gradient, float* const* o, bool fixed,
           const float* g, Range columns) noexcept {
  for (ptrdiff_t c = columns.begin; c < columns.end; c += kWidth) {
    V out[N], update[N];
    for (int n = 0; n < N; ++n) {
      out[n] = load(o[n] + c);
      update[n] = V{};
    }
    for (ptrdiff_t j = 0; j < m; ++j) {
      const V row = load(x[j] + c);
      V to = kInto == Into::kInputs ? row : kInto == Into::kGradient ? load(gradient + c) : V{};
      for (int n = 0; n < N; ++n) {
        const V weight = splat(g[j * N + n]);
        to = fma(weight, out[n], to);
        update[n] = fma(weight, row, update[n]);
      }
      if (kInto == Into::kLockedInputs) to = fma(splat(locks[j]), to, row);
      store((kInto == Into::kGradient ? gradient : x[j]) + c, to);
    }
    for (int n = 0; n < N && !fixed; ++n) store(o[n] + c, load(o[n] + c) + update[n]);
  }
}

#define FASTRNN_BY_GROUP(n, call) \
  switch (n) {                    \
    case 1:                       \
      call(1);                    \
      break;                      \
    case 2:                       \
      call(2);                    \
      break;                      \
    case 3:                       \
      call(3);                    \
      break;                      \
    case 4:                       \
      call(4);                    \
      break;                      \
    case 5:                       \
      call(5);                    \
      break;                      \
    default:                      \
      call(6);                    \
  }

FASTRNN_INLINE void score_group(const float* const* x, ptrdiff_t m, const float* const* o, ptrdiff_t n,
                                ptrdiff_t columns, float* s) {
#define FASTRNN_CALL(N) score<N>(x, m, o, columns, s)
  FASTRNN_BY_GROUP(n, FASTRNN_CALL)
#undef FASTRNN_CALL
}

template <Into kInto>
FASTRNN_INLINE void apply_group(float* const* x, ptrdiff_t m, const float* locks, float* gradient, float* const* o,
                                ptrdiff_t n, bool fixed, const float* g, Range columns){
#define FASTRNN_CALL(N) apply<N, kInto>(x, m, locks, gradient, o, fixed, g, columns)
    FASTRNN_BY_GROUP(n, FASTRNN_CALL)
#undef FASTRNN_CALL
}

// y += a x
FASTRNN_INLINE void add_scaled(float* y, float a, const float* x, Range columns) {
  for (ptrdiff_t c = columns.begin; c < columns.end; c += kWidth) store(y + c, fma(splat(a), load(x + c), load(y + c)));
}

// y = a (sum of the rows), each times its weight; weights null: all are 1.
FASTRNN_INLINE void sum_rows(float* y, const float* const* rows, const float* weights, ptrdiff_t m, float a,
                             Range columns) {
  for (ptrdiff_t c = columns.begin; c < columns.end; c += kWidth) {
    V sum{};
    if (weights == nullptr)
      for (ptrdiff_t j = 0; j < m; ++j) sum += load(rows[j] + c);
    else
      for (ptrdiff_t j = 0; j < m; ++j) sum = fma(splat(weights[j]), load(rows[j] + c), sum);
    store(y + c, splat(a) * sum);
  }
}

}  // namespace fastrnn::FASTRNN_ISA::w2v
