// y = x W' + b.
#pragma once

#include "base/ops.h"
#include "base/threads.h"
#include "kernels/bfloat16.h"
#include "kernels/grid.h"

namespace fastrnn::FASTRNN_ISA {

// Outputs whose transposed products stay in the second-level cache with a chunk of rows.
inline constexpr ptrdiff_t kOutputBlock = 128;

// z[o, r] = bias[o] + sum over i of weight[o, i] * xt[i, r] for outputs [begin, end) and `columns` rows of x: the
// product transposed, so that the weight is the operand that needs no packing.  weight: from the first of these
// outputs on, rows of `inputs` cells, weight_stride apart.  xt and z: `stride` between rows.
template <class T>
FASTRNN_INLINE void transposed_linear(const T* weight, ptrdiff_t weight_stride, ptrdiff_t inputs, const T* bias,
                                      Range outputs, const T* xt, T* z, ptrdiff_t stride, ptrdiff_t columns,
                                      const Operands<T>& operands) {
  const ptrdiff_t count = outputs.end - outputs.begin;
  for (ptrdiff_t o = 0; o < count; ++o) {
    const Vec<T> b = bias == nullptr ? Vec<T>{} : splat(bias[outputs.begin + o]);
    for (ptrdiff_t r = 0; r < columns; r += kLanes<T>) store(z + o * stride + r, b);
  }
  product<T>({1,
              count,
              inputs,
              columns,
              {weight, 0, weight_stride},
              {z, 0, stride},
              {z, 0, stride},
              xt,
              stride,
              1,
              0,
              operands.tiles()});
}

// Up to this many rows, packing the weight would cost as much as the product.
inline constexpr ptrdiff_t kFewRows = 32;
// Rows whose products go into a weight gradient together: its tiles are read and written once for so many.  Of x, so
// many stay in the second-level cache while all panels pass.
inline constexpr ptrdiff_t kGradientRows = 256;

template <class T>
struct LinearForward {
  const Linear<T>& a;
  Operands<T> operands;
  ptrdiff_t total, stride;
  T *xt, *z, *zero, *packed, *paired;

  LinearForward(const Linear<T>& args, T* base, ptrdiff_t* used = nullptr)
      : a(args),
        operands(args.pairs),
        total(a.steps * a.rows),
        stride(round_to_block(few() ? total : operands.cells(a.inputs))),
        xt(),
        z(),
        zero(),
        packed(),
        paired() {
    Scratch<T> scratch{base};
    if (few()) {
      xt = scratch.take(a.inputs * stride);
      z = scratch.take(a.threads * kOutputBlock * stride);
    } else {
      zero = scratch.take(a.outputs + kBlock);
      packed = scratch.take(ceil_div(a.outputs, kBlock) * kBlock * operands.cells(a.inputs));
      paired = scratch.take(operands.paired() ? a.threads * kGradientRows * stride : 0);
    }
    if (used != nullptr) *used = scratch.used;
  }
  bool few() const { return total <= kFewRows && !operands.paired(); }

  // Rows of x as columns, in memory order; small, so the first thread does it all.
  void pack_few() const {
    transpose_rows<T>(xt, stride, total, a.inputs, false,
                      [&](ptrdiff_t i) { return moved(a.x, i / a.rows, i % a.rows).p; });
  }
  void run_few(int thread) const {
    const Range outputs = part(a.outputs, a.threads, thread);
    T* block = z + thread * kOutputBlock * stride;
    balanced(outputs, kOutputBlock, [&](ptrdiff_t o0, ptrdiff_t o1) {
      transposed_linear<T>(a.weight + o0 * a.weight_stride, a.weight_stride, a.inputs, a.bias, {o0, o1}, xt, block,
                           stride, stride, operands);
      for (ptrdiff_t r = 0; r < total; ++r) {
        T* y = moved(a.y, r / a.rows, r % a.rows, o0).p;
        for (ptrdiff_t o = 0; o < o1 - o0; ++o) y[o] = block[o * stride + r];
      }
    });
  }

  // Panels are whole products of their own: f(column, first vector, vectors).
  template <class F>
  void panels(Range which, F f) const {
    constexpr ptrdiff_t U = kLanes<T>;
    const ptrdiff_t vectors = ceil_div(a.outputs, U), count = ceil_div(vectors, kTileVectors);
    for (ptrdiff_t i = which.begin; i < which.end; ++i) {
      const Range v = part(vectors, count, i);
      f(v.begin * U, (v.end - v.begin) * U);
    }
  }
  ptrdiff_t panel_count() const { return ceil_div(ceil_div(a.outputs, kLanes<T>), kTileVectors); }

  void pack_panels(int thread) const {
    panels(part(panel_count(), a.threads, thread), [&](ptrdiff_t column, ptrdiff_t width) {
      T* panel = packed + column * operands.cells(a.inputs);
      for (ptrdiff_t j = 0; j < width; j += kLanes<T>)
        transpose_cells(panel + j, width, kLanes<T>, a.inputs, operands, [&](ptrdiff_t i) -> const T* {
          const ptrdiff_t o = column + j + i;
          return o < a.outputs ? a.weight + o * a.weight_stride : nullptr;
        });
    });
    if (thread == 0 && a.bias == nullptr)
      for (ptrdiff_t o = 0; o < a.outputs; ++o) zero[o] = T(0);
  }
  void run_panels(int thread) const {
    const bool by_rows = total >= 2 * kTileRows * a.threads;
    const Range rows = by_rows ? part(total, a.threads, thread) : Range{0, total};
    const T* bias = a.bias == nullptr ? zero : a.bias;
    balanced(rows, kGradientRows, [&](ptrdiff_t r0, ptrdiff_t r1) {
      const auto own = [&](ptrdiff_t t, ptrdiff_t b) {
        return paired + (thread * kGradientRows + t * a.rows + b - r0) * stride;
      };
      if constexpr (std::is_same_v<T, float>)
        if (operands.paired())
          rectangles(a.rows, {r0, r1}, [&](ptrdiff_t t, ptrdiff_t steps, ptrdiff_t b, ptrdiff_t width_rows) {
            pair_grid(own(t, b), stride, moved(a.x, t, b), steps, width_rows, a.inputs);
          });
      panels(by_rows ? Range{0, panel_count()} : part(panel_count(), a.threads, thread), [&](ptrdiff_t column,
                                                                                             ptrdiff_t width) {
        rectangles(a.rows, {r0, r1}, [&](ptrdiff_t t, ptrdiff_t steps, ptrdiff_t b, ptrdiff_t width_rows) {
          product<T>({steps,
                      width_rows,
                      operands.cells(a.inputs),
                      min_of(width, a.outputs - column),
                      operands.paired() ? Rows<const T>{own(t, b), width_rows * stride, stride} : moved(a.x, t, b),
                      {bias + column, 0, 0},
                      moved(a.y, t, b, column),
                      packed + column * operands.cells(a.inputs),
                      0,
                      1,
                      0,
                      operands.tiles()});
        });
      });
    });
  }
};

template <class T>
ptrdiff_t linear_scratch(const Linear<T>& a) noexcept {
  ptrdiff_t used = 0;
  LinearForward<T>(a, nullptr, &used);
  return used;
}

template <class T>
void linear(const Linear<T>& a) noexcept {
  const LinearForward<T> call(a, a.scratch);
  Barrier barrier(a.threads);
  auto body = [&](int thread) noexcept {
    if (!call.few())
      call.pack_panels(thread);
    else if (thread == 0)
      call.pack_few();
    barrier.wait();
    call.few() ? call.run_few(thread) : call.run_panels(thread);
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
