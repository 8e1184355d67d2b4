// Gradients of y = x W' + b.
#pragma once

#include "kernels/linear.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
struct LinearGradients {
  const LinearBackward<T>& a;
  Operands<T> operands;
  ptrdiff_t inputs, outputs, depth;  // rows of cells: of W and x; of dy; of the pairs of rows of a chunk, at most
  T *zeros, *weight;                 // [inputs], [outputs / 2, inputs]
  T* own;                            // of each thread

  LinearGradients(const LinearBackward<T>& args, T* base, ptrdiff_t* used = nullptr)
      : a(args),
        operands(args.pairs),
        inputs(round_to_block(a.inputs)),
        outputs(round_to_block(operands.cells(a.outputs))),
        depth(min_of(a.steps, steps_at_once()) * min_of(kGradientRows, pairs_of_step())) {
    Scratch<T> scratch{base};
    zeros = scratch.take(inputs);
    weight = scratch.take(operands.paired() ? operands.cells(a.outputs) * inputs : 0);
    own = scratch.take(operands.paired() ? a.threads * own_size() : 0);
    if (used != nullptr) *used = scratch.used;
  }
  ptrdiff_t pairs_of_step() const { return operands.paired() ? operands.pairs_of(a.rows) : 0; }
  ptrdiff_t steps_at_once() const { return max_of(1, kGradientRows / max_of(a.rows, pairs_of_step())); }
  ptrdiff_t own_size() const { return max_of(kGradientRows * outputs, depth * (inputs + kOutputBlock)); }

  void prepare(int thread) const {
    if (thread == 0)
      for (ptrdiff_t i = 0; i < a.inputs; ++i) zeros[i] = T(0);
    if constexpr (std::is_same_v<T, float>) {
      if (!operands.paired() || a.dx.p == nullptr) return;
      const Range share = part(operands.cells(a.outputs), a.threads, thread);
      pair_block(weight + share.begin * inputs, inputs,
                 {a.weight + 2 * share.begin * a.weight_stride, 0, a.weight_stride},
                 min_of(a.outputs, 2 * share.end) - 2 * share.begin, a.inputs, share.end - share.begin);
    }
  }

  void dx(int thread) const {
    const MatrixShare s = matrix_share<T>(a.steps * a.rows, a.inputs, a.threads, thread);
    if (s.empty()) return;
    const bool paired = operands.paired();
    balanced(s.rows, paired ? kGradientRows : s.rows.end - s.rows.begin, [&](ptrdiff_t r0, ptrdiff_t r1) {
      T* cells = own + thread * own_size();
      rectangles(a.rows, {r0, r1}, [&](ptrdiff_t t, ptrdiff_t steps, ptrdiff_t b, ptrdiff_t rows) {
        Rows<const T> dy = moved(a.dy, t, b);
        if constexpr (std::is_same_v<T, float>)
          if (paired) {
            pair_grid(cells, outputs, dy, steps, rows, a.outputs);
            dy = {cells, rows * outputs, outputs};
          }
        product<T>({steps, rows, operands.cells(a.outputs), s.columns.end - s.columns.begin, dy,
                    a.add_dx ? Rows<const T>{moved(a.dx, t, b, s.columns.begin).p, a.dx.outer, a.dx.inner}
                             : Rows<const T>{zeros, 0, 0},
                    moved(a.dx, t, b, s.columns.begin), (paired ? weight : a.weight) + s.columns.begin,
                    paired ? inputs : a.weight_stride, 1, 0, operands.tiles()});
      });
    });
  }

  // Steps descend; f(last step, steps, rows) for what goes into dW together, rows a part of the batch.
  template <class F>
  void for_chunks(F f) const {
    for (ptrdiff_t t = a.steps; t > 0; t -= min_of(t, steps_at_once())) {
      const ptrdiff_t steps = min_of(t, steps_at_once());
      // Rows, or pairs of them, which are not parted where they are summed apart.
      const ptrdiff_t cells = operands.paired() ? operands.pairs->block : 1, unit = operands.paired() ? 2 * cells : 1;
      balanced({0, ceil_div(a.rows, unit)}, kGradientRows / cells, [&](ptrdiff_t first, ptrdiff_t last) {
        f(t - 1, steps, Range{first * unit, min_of(a.rows, last * unit)});
      });
    }
  }

  void dweight(int thread) const {
    const MatrixShare s = matrix_share<T>(a.outputs, a.inputs, a.threads, thread);
    if (s.empty()) return;
    for_chunks([&](ptrdiff_t t, ptrdiff_t steps, Range rows) {
      if (operands.paired()) return paired_dweight(t, steps, rows, s, own + thread * own_size());
      const Rows<const T> dy = moved(a.dy, t, rows.begin, s.rows.begin), x = moved(a.x, t, rows.begin, s.columns.begin);
      outer_product<T>({steps,
                        rows.end - rows.begin,
                        {dy.p, -dy.outer, dy.inner},
                        {x.p, -x.outer, x.inner},
                        a.dweight + s.rows.begin * a.dweight_stride + s.columns.begin,
                        a.dweight_stride,
                        s.rows.end - s.rows.begin,
                        s.columns.end - s.columns.begin});
    });
  }
  // Rows of a step are paired, what is missing with zeros.
  void paired_dweight(ptrdiff_t last, ptrdiff_t steps, Range rows, const MatrixShare& s, T* cells) const {
    if constexpr (std::is_same_v<T, float>) {
      const ptrdiff_t count = rows.end - rows.begin, of_step = operands.pairs_of(count);
      const auto pair_columns = [&](T* to, const Rows<const T>& from, Range columns, ptrdiff_t stride) {
        for (ptrdiff_t t = last; t > last - steps; --t, to += of_step * stride)
          pair_block(to, stride, moved(from, t, rows.begin, columns.begin), count, columns.end - columns.begin,
                     of_step);
      };
      T* const by_output = cells + depth * inputs;
      pair_columns(cells, a.x, s.columns, inputs);
      balanced(s.rows, kOutputBlock, [&](ptrdiff_t o0, ptrdiff_t o1) {
        pair_columns(by_output, a.dy, {o0, o1}, kOutputBlock);
        outer_product<T>({1,
                          steps * of_step,
                          {by_output, 0, kOutputBlock},
                          {cells, 0, inputs},
                          a.dweight + o0 * a.dweight_stride + s.columns.begin,
                          a.dweight_stride,
                          o1 - o0,
                          s.columns.end - s.columns.begin,
                          -1,
                          nullptr,
                          operands.tiles()});
      });
    }
  }

  void dbias(int thread) const {
    const Range blocks = part(ceil_div(a.outputs, kBlock), a.threads, thread);
    for (ptrdiff_t o = blocks.begin * kBlock; o < min_of(a.outputs, blocks.end * kBlock); o += kLanes<T>) {
      const ptrdiff_t n = min_of(kLanes<T>, a.outputs - o);
      Vec<T> sum = load_n(a.dbias + o, n);
      for (ptrdiff_t t = a.steps - 1; t >= 0; --t)
        for (ptrdiff_t b = 0; b < a.rows; ++b) sum += load_n(moved(a.dy, t, b, o).p, n);
      store_n(a.dbias + o, sum, n);
    }
  }
};

template <class T>
ptrdiff_t linear_backward_scratch(const LinearBackward<T>& a) noexcept {
  ptrdiff_t used = 0;
  LinearGradients<T>(a, nullptr, &used);
  return used;
}

template <class T>
void linear_backward(const LinearBackward<T>& a) noexcept {
  const LinearGradients<T> call(a, a.scratch);
  Barrier barrier(a.threads);
  auto body = [&](int thread) noexcept {
    call.prepare(thread);
    if (a.dweight != nullptr) call.dweight(thread);
    if (a.dbias != nullptr) call.dbias(thread);
    if (a.dx.p == nullptr) return;
    barrier.wait();
    call.dx(thread);
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
