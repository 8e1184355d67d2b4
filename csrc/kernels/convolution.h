// Convolution over the steps of a sequence, and of each filter the largest over time.
//
// A filter reads `width` steps as one run of width * inputs numbers, so a row of the batch is one product of
// overlapping windows with all filters.  Only the largest goes on, and only its window has a gradient.
#pragma once

#include "kernels/attention.h"

namespace fastrnn::FASTRNN_ISA {

// Where a kernel of this many steps begins, before the step that it belongs to.
template <class T>
FASTRNN_INLINE ptrdiff_t steps_before(const Convolution<T>& a) {
  return (a.width - 1) / 2;
}

// to[(j * inputs + i) * stride] = weight[i, j] of one filter.
template <class T>
FASTRNN_INLINE void unfold(const Convolution<T>& a, const T* weight, T* to, ptrdiff_t stride) {
  for (ptrdiff_t i = 0; i < a.inputs; ++i)
    for (ptrdiff_t j = 0; j < a.width; ++j) to[(j * a.inputs + i) * stride] = weight[i * a.width + j];
}

template <class T>
struct ConvolutionForward {
  const Convolution<T>& a;
  ptrdiff_t depth, stride, padded;  // numbers of a window; of a row of scores; of a row of x with its margins
  T *packed, *windows, *scores;     // [depth, stride]; of each thread [padded] and [steps, stride]

  ConvolutionForward(const Convolution<T>& args, T* base, ptrdiff_t* used = nullptr)
      : a(args),
        depth(a.width * a.inputs),
        stride(round_to_block(a.filters)),
        padded(round_to_block((a.steps + a.width - 1) * a.inputs)),
        packed(),
        windows(),
        scores() {
    Scratch<T> scratch{base};
    packed = scratch.take(depth * stride);
    windows = scratch.take(a.threads * padded);
    scores = scratch.take(a.threads * a.steps * stride);
    if (used != nullptr) *used = scratch.used;
  }

  void pack(int thread) const {
    const Range share = part(a.filters, a.threads, thread);
    for (ptrdiff_t f = share.begin; f < share.end; ++f) unfold(a, a.weight + f * depth, packed + f, stride);
  }

  // A NaN is the largest, and the first one stays.
  void largest(ptrdiff_t b, ptrdiff_t length, const T* z) const {
    T* y = a.y + b * a.filters;
    std::int32_t* at = a.at + b * a.filters;
    for_columns<T>(a.filters, [&](ptrdiff_t f, ptrdiff_t n) {
      Vec<T> best = load_some(z + f, n);
      IntVec<T> step{};
      for (ptrdiff_t t = 1; t < length; ++t) {
        const Vec<T> more = load_some(z + t * stride + f, n);
        const IntVec<T> here = (more > best) | ((more != more) & (best == best));
        best = where<T>(here, more, best);
        step = (step & ~here) | (here & (IntVec<T>{} + static_cast<typename VecTypes<T>::Int>(t)));
      }
      store_some(y + f, best, n);
      for (ptrdiff_t k = 0; k < n; ++k) at[f + k] = static_cast<std::int32_t>(step[k]);
    });
  }

  void row(ptrdiff_t b, int thread) const {
    const ptrdiff_t length = a.lengths[b];
    if (length == 0) {
      clear(a.y + b * a.filters, a.filters);
      for (ptrdiff_t f = 0; f < a.filters; ++f) a.at[b * a.filters + f] = -1;
      return;
    }
    T *x = windows + thread * padded, *z = scores + thread * a.steps * stride;
    const ptrdiff_t before = steps_before(a) * a.inputs, end = before + length * a.inputs;
    clear(x, before);
    for (ptrdiff_t t = 0; t < length; ++t) copy(x + before + t * a.inputs, moved(a.x, t, b).p, a.inputs);
    clear(x + end, (a.width - 1) * a.inputs - before);
    product<T>({1, length, depth, a.filters, {x, 0, a.inputs}, {a.bias, 0, 0}, {z, 0, stride}, packed, stride});
    largest(b, length, z);
  }
};

template <class T>
ptrdiff_t convolution_scratch(const Convolution<T>& a) noexcept {
  ptrdiff_t used = 0;
  ConvolutionForward<T>(a, nullptr, &used);
  return used;
}

template <class T>
void convolution(const Convolution<T>& a) noexcept {
  const ConvolutionForward<T> call(a, a.scratch);
  Barrier barrier(a.threads);
  auto body = [&](int thread) noexcept {
    call.pack(thread);
    barrier.wait();
    const Range rows = part(a.rows, a.threads, thread);
    for (ptrdiff_t b = rows.begin; b < rows.end; ++b) call.row(b, thread);
  };
  run_team(a.threads, body);
}

// Unfolded weights, and their gradients: [filters, depth] each.
template <class T>
ptrdiff_t convolution_backward_scratch(const Convolution<T>& a) noexcept {
  return 2 * a.filters * round_to_block(a.width * a.inputs);
}

template <class T>
struct ConvolutionGradients {
  const ConvolutionBackward<T>& g;
  ptrdiff_t depth = round_to_block(g.of.width * g.of.inputs);

  T* weight(ptrdiff_t f) const { return g.scratch + f * depth; }
  T* dweight(ptrdiff_t f) const { return g.scratch + (g.of.filters + f) * depth; }

  // Calls f(step of the window, step of x) for what of the chosen window lies inside of the row.
  template <class F>
  void window(ptrdiff_t b, ptrdiff_t filter, F f) const {
    const ptrdiff_t at = g.at[b * g.of.filters + filter], first = at - steps_before(g.of);
    if (at < 0) return;
    for (ptrdiff_t j = max_of(0, -first); j < min_of(g.of.width, g.of.lengths[b] - first); ++j) f(j, first + j);
  }

  void row(ptrdiff_t b) const {
    const ptrdiff_t inputs = g.of.inputs;
    for (ptrdiff_t t = 0; t < g.of.steps; ++t) clear(moved(g.dx, t, b).p, inputs);
    for (ptrdiff_t f = 0; f < g.of.filters; ++f)
      window(b, f, [&](ptrdiff_t j, ptrdiff_t t) {
        add_scaled(moved(g.dx, t, b).p, moved(g.dy, 0, b).p[f], static_cast<const T*>(weight(f) + j * inputs), inputs);
      });
  }

  void filter(ptrdiff_t f) const {
    const ptrdiff_t inputs = g.of.inputs, width = g.of.width;
    T *sum = dweight(f), *out = g.dweight + f * inputs * width;
    unfold(g.of, static_cast<const T*>(out), sum, 1);
    for (ptrdiff_t b = 0; b < g.of.rows; ++b) {
      const T d = moved(g.dy, 0, b).p[f];
      window(b, f, [&](ptrdiff_t j, ptrdiff_t t) { add_scaled(sum + j * inputs, d, moved(g.of.x, t, b).p, inputs); });
      if (g.at[b * g.of.filters + f] >= 0) g.dbias[f] += d;
    }
    for (ptrdiff_t i = 0; i < inputs; ++i)
      for (ptrdiff_t j = 0; j < width; ++j) out[i * width + j] = sum[j * inputs + i];
  }
};

template <class T>
void convolution_backward(const ConvolutionBackward<T>& g) noexcept {
  const Convolution<T>& a = g.of;
  const ConvolutionGradients<T> call{g};
  Barrier barrier(a.threads);
  auto body = [&](int thread) noexcept {
    const Range filters = part(a.filters, a.threads, thread), rows = part(a.rows, a.threads, thread);
    if (g.dx.p != nullptr) {
      for (ptrdiff_t f = filters.begin; f < filters.end; ++f)
        unfold(a, a.weight + f * a.width * a.inputs, call.weight(f), 1);
      barrier.wait();
      for (ptrdiff_t b = rows.begin; b < rows.end; ++b) call.row(b);
    }
    for (ptrdiff_t f = filters.begin; f < filters.end; ++f) call.filter(f);
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
