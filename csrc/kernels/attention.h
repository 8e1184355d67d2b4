// Attention: scores of queries and keys, softmax over the keys, the sum of the values by these weights.
//
// A row of the batch belongs to one thread.  Sums over keys and queries are chains of fma in ascending order; sums over
// the depth, and those of the softmax, run in 16 virtual lanes that are then added in order.
#pragma once

#include "kernels/math.h"
#include "kernels/pool.h"

namespace fastrnn::FASTRNN_ISA {

// Sum over i < n of f(i, lanes), vectors of terms, in 16 virtual lanes.
template <class T, class F>
FASTRNN_INLINE T sum_of(ptrdiff_t n, F f) {
  constexpr ptrdiff_t U = kLanes<T>, kVectors = kBlock / U;
  Vec<T> sum[kVectors] = {};
  for (ptrdiff_t i = 0; i < n; i += kBlock)
    for (ptrdiff_t v = 0; v < kVectors; ++v) {
      const ptrdiff_t left = n - i - v * U;
      if (left <= 0) break;
      sum[v] = f(i + v * U, min_of(U, left), sum[v]);
    }
  T total = T(0);
  for (ptrdiff_t v = 0; v < kVectors; ++v)
    for (ptrdiff_t k = 0; k < U; ++k) total += sum[v][k];
  return total;
}

template <class T>
FASTRNN_INLINE T dot(const T* a, const T* b, ptrdiff_t n) {
  return sum_of<T>(n, [&](ptrdiff_t i, ptrdiff_t lanes, Vec<T> sum) {
    return fma(load_some(a + i, lanes), load_some(b + i, lanes), sum);
  });
}

// y += s x
template <class T>
FASTRNN_INLINE void add_scaled(T* y, T s, const T* x, ptrdiff_t n) {
  const Vec<T> factor = splat(s);
  for_columns<T>(n, [&](ptrdiff_t j, ptrdiff_t lanes) {
    store_some(y + j, fma(factor, load_some(x + j, lanes), load_some(y + j, lanes)), lanes);
  });
}

template <class T>
struct AttentionRow {
  const Attention<T>& a;
  ptrdiff_t b;

  bool sees(ptrdiff_t t) const { return a.mask == nullptr || a.mask[b * a.keys + t] != 0; }
  T* weights(ptrdiff_t s) const { return a.weights + (b * a.queries + s) * a.keys; }

  T score(ptrdiff_t s, ptrdiff_t t) const {
    const T *q = moved(a.q, s, b).p, *k = moved(a.k, t, b).p;
    if (a.energy == nullptr) return a.scale * dot(q, k, a.depth);
    return sum_of<T>(a.depth, [&](ptrdiff_t i, ptrdiff_t n, Vec<T> sum) {
      return fma(load_some(a.energy + i, n), tanh(load_some(q + i, n) + load_some(k + i, n)), sum);
    });
  }

  // Scores become weights; those that are not seen are zero.  The largest is finite, so that -inf adds nothing.
  void softmax(T* w) const {
    constexpr double kLowest = sizeof(T) == sizeof(float) ? -0x1.fffffep127 : -0x1.fffffffffffffp1023;
    T top = static_cast<T>(kLowest);
    for (ptrdiff_t t = 0; t < a.keys; ++t)
      if (sees(t) && (w[t] > top || w[t] != w[t])) top = w[t];
    // At most 0, also in the lanes past the last key, where exp could overflow.
    for_columns<T>(a.keys, [&](ptrdiff_t t, ptrdiff_t n) {
      store_some(w + t, exp(min(Vec<T>{}, load_some(w + t, n) - splat(top))), n);
    });
    for (ptrdiff_t t = 0; t < a.keys; ++t)
      if (!sees(t)) w[t] = T(0);
    const T sum =
        sum_of<T>(a.keys, [&](ptrdiff_t t, ptrdiff_t n, Vec<T> so_far) { return so_far + load_some(w + t, n); });
    if (sum == T(0)) return;
    for_columns<T>(a.keys, [&](ptrdiff_t t, ptrdiff_t n) { store_some(w + t, load_some(w + t, n) / splat(sum), n); });
  }

  void forward(ptrdiff_t s) const {
    T *w = weights(s), *context = moved(a.context, s, b).p;
    for (ptrdiff_t t = 0; t < a.keys; ++t) w[t] = sees(t) ? score(s, t) : T(0);
    softmax(w);
    clear(context, a.width);
    for (ptrdiff_t t = 0; t < a.keys; ++t)
      if (sees(t)) add_scaled(context, w[t], moved(a.v, t, b).p, a.width);
  }
};

template <class T>
void attention(const Attention<T>& a) noexcept {
  auto body = [&](int thread) noexcept {
    const Range rows = part(a.rows, a.threads, thread);
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b)
      for (ptrdiff_t s = 0; s < a.queries; ++s) AttentionRow<T>{a, b}.forward(s);
  };
  run_team(a.threads, body);
}

template <class T>
struct AttentionBackwardRow {
  const AttentionBackward<T>& g;
  AttentionRow<T> row;
  T* dscore;   // [keys], of this thread
  T* denergy;  // [depth], of this row

  const Attention<T>& of() const { return g.of; }

  // dscore = a (da - sum a da), with da the gradient by the weights.
  void scores(ptrdiff_t s) const {
    const T *w = row.weights(s), *dcontext = moved(g.dcontext, s, row.b).p;
    for (ptrdiff_t t = 0; t < of().keys; ++t)
      dscore[t] = row.sees(t) ? dot(dcontext, moved(of().v, t, row.b).p, of().width) : T(0);
    const T mean = dot(w, static_cast<const T*>(dscore), of().keys);
    for_columns<T>(of().keys, [&](ptrdiff_t t, ptrdiff_t n) {
      store_some(dscore + t, load_some(w + t, n) * (load_some(dscore + t, n) - splat(mean)), n);
    });
  }

  void additive(ptrdiff_t s, ptrdiff_t t) const {
    const ptrdiff_t b = row.b;
    const T *q = moved(of().q, s, b).p, *k = moved(of().k, t, b).p;
    T *dq = moved(g.dq, s, b).p, *dk = moved(g.dk, t, b).p;
    const Vec<T> d = splat(dscore[t]);
    for_columns<T>(of().depth, [&](ptrdiff_t i, ptrdiff_t n) {
      const Vec<T> h = tanh(load_some(q + i, n) + load_some(k + i, n));
      const Vec<T> inner = d * load_some(of().energy + i, n) * (splat(T(1)) - h * h);
      store_some(denergy + i, fma(d, h, load_some(denergy + i, n)), n);
      store_some(dq + i, load_some(dq + i, n) + inner, n);
      store_some(dk + i, load_some(dk + i, n) + inner, n);
    });
  }

  void backward(ptrdiff_t s) const {
    const ptrdiff_t b = row.b, depth = of().depth;
    const T *w = row.weights(s), *dcontext = moved(g.dcontext, s, b).p;
    clear(moved(g.dq, s, b).p, depth);
    scores(s);
    for (ptrdiff_t t = 0; t < of().keys; ++t) {
      if (!row.sees(t)) continue;
      add_scaled(moved(g.dv, t, b).p, w[t], dcontext, of().width);
      if (of().energy != nullptr) {
        additive(s, t);
        continue;
      }
      const T d = of().scale * dscore[t];
      add_scaled(moved(g.dq, s, b).p, d, moved(of().k, t, b).p, depth);
      add_scaled(moved(g.dk, t, b).p, d, moved(of().q, s, b).p, depth);
    }
  }
};

template <class T>
ptrdiff_t attention_scratch(const Attention<T>& a) noexcept {
  return a.threads * round_to_block(a.keys) + (a.energy != nullptr ? a.rows * round_to_block(a.depth) : 0);
}

template <class T>
void attention_backward(const AttentionBackward<T>& g) noexcept {
  const Attention<T>& a = g.of;
  const ptrdiff_t keys = round_to_block(a.keys), wide = round_to_block(a.depth);
  T* energies = g.scratch + a.threads * keys;
  Barrier barrier(a.threads);
  auto body = [&](int thread) noexcept {
    const Range rows = part(a.rows, a.threads, thread);
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b) {
      const AttentionBackwardRow<T> row{g, {a, b}, g.scratch + thread * keys, energies + b * wide};
      if (a.energy != nullptr) clear(row.denergy, a.depth);
      for (ptrdiff_t t = 0; t < a.keys; ++t) {
        clear(moved(g.dk, t, b).p, a.depth);
        clear(moved(g.dv, t, b).p, a.width);
      }
      for (ptrdiff_t s = 0; s < a.queries; ++s) row.backward(s);
    }
    if (a.energy == nullptr) return;
    barrier.wait();
    if (thread == 0)
      for (ptrdiff_t b = 0; b < a.rows; ++b) add_scaled(g.denergy, T(1), energies + b * wide, a.depth);
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
