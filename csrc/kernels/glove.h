// GloVe (Pennington, Socher, Manning, EMNLP 2014): AdaGrad on weighted least squares.
//
//   error   e = <w_i, c_j> + b_i + a_j - log x_ij        w, b: as words, c, a: as contexts
//   loss    f(x_ij) e^2 / 2,  f(x) = min(1, (x / most)^power)
//   update  g = rate f e c_j,  w_i -= g / sqrt(G),  G += g^2    and likewise c_j, b_i and a_j
//
// As in its authors' glove.c the squares begin with 1 and have the rate in them, and a gradient is cut to 100.  An
// entry off the diagonal stands for two, (i, j) and (j, i).
#pragma once

#include "base/glove.h"
#include "base/threads.h"
#include "kernels/word2vec.h"

namespace fastrnn::FASTRNN_ISA::glove {

inline constexpr ptrdiff_t kAhead = 4,
                           kFar = 16;  // entries whose rows, and who themselves, are fetched before their turn
inline constexpr float kMostGradient = 100;

FASTRNN_INLINE float cut(float g) {
  return g > kMostGradient ? kMostGradient : g < -kMostGradient ? -kMostGradient : g;
}
FASTRNN_INLINE void descend(float* bias, float g) {
  bias[0] -= g / __builtin_sqrtf(bias[1]);
  bias[1] += g * g;
}

// A function of its own, for the compiler forgets __restrict in what it inlines, and then does not vectorise.
static __attribute__((noinline)) void descend_both(ptrdiff_t n, float scale, float* __restrict w, float* __restrict c,
                                                   float* __restrict w_squares, float* __restrict c_squares) {
  for (ptrdiff_t k = 0; k < n; ++k) {
    const float to_w = cut(scale * c[k]), to_c = cut(scale * w[k]);
    w[k] -= to_w / __builtin_sqrtf(w_squares[k]);
    c[k] -= to_c / __builtin_sqrtf(c_squares[k]);
    w_squares[k] += to_w * to_w;
    c_squares[k] += to_c * to_c;
  }
}

class Pass {
 public:
  explicit Pass(const Glove& a) noexcept : a_(a) {}

  // Entries begin .. end of the pass; returns the loss.
  double train(ptrdiff_t begin, ptrdiff_t end) noexcept {
    ptrdiff_t at = place(begin), near = place(begin + kAhead), far = place(begin + kFar);
    double loss = 0;
    for (ptrdiff_t i = begin; i < end; ++i) {
      __builtin_prefetch(a_.entries + far);
      fetch(a_.entries[near]);
      const Cooccurrence entry = a_.entries[at];
      const auto log_count = static_cast<float>(__builtin_log(static_cast<double>(entry.count)));
      const float weight = weight_of(entry.count);
      loss += step(entry.row, entry.column, log_count, weight);
      if (entry.row != entry.column) loss += step(entry.column, entry.row, log_count, weight);
      at = next(at);
      near = next(near);
      far = next(far);
    }
    return loss;
  }

 private:
  const Glove& a_;

  float weight_of(float count) const {
    const double share = static_cast<double>(count) / static_cast<double>(a_.most);
    return share < 1 ? static_cast<float>(__builtin_pow(share, static_cast<double>(a_.power))) : 1;
  }

  // (start + i * step) % count, doubling by doubling, for the product may be beyond 64 bits.
  ptrdiff_t place(ptrdiff_t i) const {
    ptrdiff_t at = a_.start, step = a_.step;
    for (; i > 0; i /= 2) {
      if (i % 2 == 1) at = sum(at, step);
      step = sum(step, step);
    }
    return at;
  }
  ptrdiff_t sum(ptrdiff_t a, ptrdiff_t b) const { return a + b < a_.count ? a + b : a + b - a_.count; }
  ptrdiff_t next(ptrdiff_t place) const { return sum(place, a_.step); }

  void fetch(const Cooccurrence& entry) const {
    for (const std::int32_t row : {entry.row, entry.column})
      for (const float* table :
           {a_.tables.words, a_.tables.contexts, a_.tables.word_squares, a_.tables.context_squares})
        for (ptrdiff_t k = 0; k < a_.tables.stride; k += 16) __builtin_prefetch(table + row * a_.tables.stride + k, 1);
  }

  // Entry (i, j); its loss.
  double step(std::int32_t i, std::int32_t j, float log_count, float weight) noexcept {
    const GloveTables& t = a_.tables;
    float *w = t.words + i * t.stride, *c = t.contexts + j * t.stride;
    float *w_squares = t.word_squares + i * t.stride, *c_squares = t.context_squares + j * t.stride;
    float *b = t.word_biases + 2 * i, *a = t.context_biases + 2 * j;
    float sum[1 + w2v::kScoreSlack];
    const float *x = w, *o = c;
    w2v::score_tile<1, 1>(&x, &o, t.stride, sum);
    const float error = sum[0] + b[0] + a[0] - log_count;
    const float scale = cut(a_.rate * weight * error);
    descend_both(t.stride, scale, w, c, w_squares, c_squares);
    descend(b, scale);
    descend(a, scale);
    return 0.5 * static_cast<double>(weight * error * error);
  }
};

// Threads update the tables without locks, as in glove.c.
inline void train(const Glove& a) noexcept {
  const ptrdiff_t slices = ceil_div(a.end - a.begin, kGloveSlice);
  ptrdiff_t next = 0;
  auto body = [&](int) noexcept {
    Pass pass(a);
    for (ptrdiff_t s; (s = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < slices;) {
      const ptrdiff_t begin = a.begin + s * kGloveSlice;
      a.losses[s] = pass.train(begin, min_of(begin + kGloveSlice, a.end));
    }
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA::glove
