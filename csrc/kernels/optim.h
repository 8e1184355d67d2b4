// SGD, Adam, AdamW, RMSProp, Adagrad, the global norm and clipping by value, over spans; formulas and order of
// operations as torch.optim.
//
// The loops are plain: every operation is one rounding of one element, so the compiler's vectors give the same bits for
// every instruction set, and memory is what they wait for.
#pragma once

#include <math.h>

#include "base/ops.h"
#include "base/threads.h"
#include "kernels/grid.h"

namespace fastrnn::FASTRNN_ISA {

// Calls f(span, begin, end, block) for the blocks of kNormBlock elements that belong to a thread; blocks are numbered
// through all spans.
template <class T, class F>
FASTRNN_INLINE void for_blocks(const Optimizer<T>& a, int thread, F f) {
  ptrdiff_t total = 0;
  for (ptrdiff_t s = 0; s < a.count; ++s) total += ceil_div(a.spans[s].length, kNormBlock);
  const Range mine = part(total, a.threads, thread);
  ptrdiff_t first = 0;
  for (ptrdiff_t s = 0; s < a.count; ++s) {
    const Span<T>& span = a.spans[s];
    const ptrdiff_t blocks = ceil_div(span.length, kNormBlock);
    for (ptrdiff_t b = max_of(mine.begin, first); b < min_of(mine.end, first + blocks); ++b) {
      const ptrdiff_t begin = (b - first) * kNormBlock;
      f(span, begin, min_of(span.length, begin + kNormBlock), b);
    }
    first += blocks;
  }
}

// Sum of squares in 16 virtual lanes, which are then added in order.
template <class T>
FASTRNN_INLINE double squares(const T* g, ptrdiff_t n) {
  constexpr ptrdiff_t U = kLanes<T>, kVectors = kBlock / U;
  Vec<T> sum[kVectors] = {};
  ptrdiff_t i = 0;
  for (; i + kBlock <= n; i += kBlock)
    for (ptrdiff_t v = 0; v < kVectors; ++v) {
      const Vec<T> x = load(g + i + v * U);
      sum[v] = fma(x, x, sum[v]);
    }
  for (ptrdiff_t v = 0; v < kVectors; ++v) {
    const ptrdiff_t left = n - i - v * U;
    if (left <= 0) break;
    const Vec<T> x = load_n(g + i + v * U, min_of(U, left));
    sum[v] = fma(x, x, sum[v]);
  }
  double total = 0;
  for (ptrdiff_t v = 0; v < kVectors; ++v)
    for (ptrdiff_t k = 0; k < U; ++k) total += static_cast<double>(sum[v][k]);
  return total;
}

template <class T>
FASTRNN_INLINE void form_partials(const Optimizer<T>& a, int thread) {
  for_blocks(a, thread, [&](const Span<T>& span, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t block) {
    a.partial[block] = squares(span.grad + begin, end - begin);
  });
}

template <class T>
FASTRNN_INLINE double join_partials(const Optimizer<T>& a) {
  ptrdiff_t blocks = 0;
  for (ptrdiff_t s = 0; s < a.count; ++s) blocks += ceil_div(a.spans[s].length, kNormBlock);
  double total = 0;
  for (ptrdiff_t b = 0; b < blocks; ++b) total += a.partial[b];
  return __builtin_sqrt(total);
}

template <class T>
double global_norm(const Optimizer<T>& a) noexcept {
  auto body = [&](int thread) noexcept { form_partials(a, thread); };
  run_team(a.threads, body);
  return join_partials(a);
}

// Runs update(span, begin, end, factor) over all blocks, with the factor that clips; returns the norm.
template <class T, class F>
FASTRNN_INLINE double optimize(const Optimizer<T>& a, F update) {
  Barrier barrier(a.threads);
  double norm = __builtin_nan("");
  auto body = [&](int thread) noexcept {
    T factor = T(1);
    if (a.clip) {
      form_partials(a, thread);
      barrier.wait();
      const double all = join_partials(a);
      const double wanted = a.max_norm / (all + 1e-6);
      factor = static_cast<T>(wanted > 1 ? 1 : wanted);  // NaN stays NaN, as in torch
      if (thread == 0) norm = all;
      if (a.guard && !(all - all == 0)) return;
    }
    for_blocks(a, thread, [&](const Span<T>& span, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t) {
      update(span, begin, end, factor);
      if (a.zero_grad) __builtin_memset(span.grad + begin, 0, static_cast<std::size_t>(end - begin) * sizeof(T));
    });
  };
  run_team(a.threads, body);
  return norm;
}

// Functions of their own, for the compiler forgets __restrict in what it inlines, and then does not vectorise.
template <class T>
struct SgdStep {
  T factor, lr, decay, momentum, fresh;
  __attribute__((noinline)) void plain(ptrdiff_t n, T* __restrict p, const T* __restrict grad) const {
    for (ptrdiff_t i = 0; i < n; ++i) p[i] -= lr * (grad[i] * factor + decay * p[i]);
  }
  __attribute__((noinline)) void heavy_ball(ptrdiff_t n, T* __restrict p, const T* __restrict grad,
                                            T* __restrict buffer) const {
    for (ptrdiff_t i = 0; i < n; ++i) {
      buffer[i] = momentum * buffer[i] + fresh * (grad[i] * factor + decay * p[i]);
      p[i] -= lr * buffer[i];
    }
  }
  __attribute__((noinline)) void nesterov(ptrdiff_t n, T* __restrict p, const T* __restrict grad,
                                          T* __restrict buffer) const {
    for (ptrdiff_t i = 0; i < n; ++i) {
      const T g = grad[i] * factor + decay * p[i];
      buffer[i] = momentum * buffer[i] + fresh * g;
      p[i] -= lr * (g + momentum * buffer[i]);
    }
  }
};

template <class T>
double sgd(const Optimizer<T>& a) noexcept {
  return optimize(a, [&](const Span<T>& span, ptrdiff_t begin, ptrdiff_t end, T factor) {
    const SgdStep<T> step{factor, static_cast<T>(a.lr), static_cast<T>(a.weight_decay), static_cast<T>(a.momentum),
                          static_cast<T>(1 - a.dampening)};
    if (span.first == nullptr)
      step.plain(end - begin, span.param + begin, span.grad + begin);
    else if (a.nesterov)
      step.nesterov(end - begin, span.param + begin, span.grad + begin, span.first + begin);
    else
      step.heavy_ball(end - begin, span.param + begin, span.grad + begin, span.first + begin);
  });
}

FASTRNN_INLINE float square_root(float x) { return __builtin_sqrtf(x); }
FASTRNN_INLINE double square_root(double x) { return __builtin_sqrt(x); }

template <class T>
struct AdamStep {
  T factor, rate, root, b1, new1, b2, new2, eps, decay, keep;
  __attribute__((noinline)) void run(ptrdiff_t n, T* __restrict p, const T* __restrict grad, T* __restrict m,
                                     T* __restrict v) const {
    const AdamStep s = *this;  // which the stores below could change otherwise
    for (ptrdiff_t i = 0; i < n; ++i) {
      const T g = grad[i] * s.factor + s.decay * p[i];
      const T first = s.b1 * m[i] + s.new1 * g, second = s.b2 * v[i] + s.new2 * (g * g);
      m[i] = first;
      v[i] = second;
      p[i] = s.keep * p[i] - s.rate * first / (square_root(second) / s.root + s.eps);
    }
  }
};

template <class T>
double adam(const Optimizer<T>& a) noexcept {
  const double steps = static_cast<double>(a.step);
  AdamStep<T> step;
  step.rate = static_cast<T>(a.lr / (1 - ::pow(a.beta1, steps)));
  step.root = static_cast<T>(::sqrt(1 - ::pow(a.beta2, steps)));
  step.b1 = static_cast<T>(a.beta1);
  step.new1 = static_cast<T>(1 - a.beta1);
  step.b2 = static_cast<T>(a.beta2);
  step.new2 = static_cast<T>(1 - a.beta2);
  step.eps = static_cast<T>(a.eps);
  step.decay = a.decoupled ? T(0) : static_cast<T>(a.weight_decay);
  step.keep = a.decoupled ? static_cast<T>(1 - a.lr * a.weight_decay) : T(1);
  return optimize(a, [&](const Span<T>& span, ptrdiff_t begin, ptrdiff_t end, T factor) {
    AdamStep<T> s = step;
    s.factor = factor;
    s.run(end - begin, span.param + begin, span.grad + begin, span.first + begin, span.second + begin);
  });
}

template <class T>
struct SquaresStep {
  T factor, rate, momentum, old, fresh, eps, decay;
  // v = old v + fresh g^2, and p -= rate g / (sqrt(v) + eps): RMSProp, and Adagrad with old = fresh = 1.
  __attribute__((noinline)) void plain(ptrdiff_t n, T* __restrict p, const T* __restrict grad, T* __restrict v) const {
    const SquaresStep s = *this;
    for (ptrdiff_t i = 0; i < n; ++i) {
      const T g = grad[i] * s.factor + s.decay * p[i];
      const T second = s.old * v[i] + s.fresh * (g * g);
      v[i] = second;
      p[i] -= s.rate * (g / (square_root(second) + s.eps));
    }
  }
  __attribute__((noinline)) void heavy_ball(ptrdiff_t n, T* __restrict p, const T* __restrict grad,
                                            T* __restrict buffer, T* __restrict v) const {
    const SquaresStep s = *this;
    for (ptrdiff_t i = 0; i < n; ++i) {
      const T g = grad[i] * s.factor + s.decay * p[i];
      const T second = s.old * v[i] + s.fresh * (g * g);
      v[i] = second;
      const T step = s.momentum * buffer[i] + g / (square_root(second) + s.eps);
      buffer[i] = step;
      p[i] -= s.rate * step;
    }
  }
};

template <class T>
FASTRNN_INLINE double by_squares(const Optimizer<T>& a, SquaresStep<T> step) {
  step.eps = static_cast<T>(a.eps);
  step.decay = static_cast<T>(a.weight_decay);
  return optimize(a, [&](const Span<T>& span, ptrdiff_t begin, ptrdiff_t end, T factor) {
    SquaresStep<T> s = step;
    s.factor = factor;
    if (span.first == nullptr)
      s.plain(end - begin, span.param + begin, span.grad + begin, span.second + begin);
    else
      s.heavy_ball(end - begin, span.param + begin, span.grad + begin, span.first + begin, span.second + begin);
  });
}

template <class T>
double rmsprop(const Optimizer<T>& a) noexcept {
  SquaresStep<T> step{};
  step.rate = static_cast<T>(a.lr);
  step.momentum = static_cast<T>(a.momentum);
  step.old = static_cast<T>(a.beta2);
  step.fresh = static_cast<T>(1 - a.beta2);
  return by_squares(a, step);
}

template <class T>
double adagrad(const Optimizer<T>& a) noexcept {
  SquaresStep<T> step{};
  step.rate = static_cast<T>(a.lr);
  step.old = step.fresh = T(1);
  return by_squares(a, step);
}

// NaN stays NaN: comparisons are false for it.
template <class T>
void clip_value(const Optimizer<T>& a) noexcept {
  const T most = static_cast<T>(a.max_norm);
  auto body = [&](int thread) noexcept {
    for_blocks(a, thread, [&](const Span<T>& span, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t) {
      for (ptrdiff_t i = begin; i < end; ++i) {
        const T g = span.grad[i], low = g < -most ? -most : g;
        span.grad[i] = low > most ? most : low;
      }
    });
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
