// What one thread does in each phase of SoftmaxLoss, between two barriers.
#pragma once

#include "kernels/cross_entropy.h"

namespace fastrnn::FASTRNN_ISA {

// Asks for memory that the next product starts with, while there is other work to hide the wait.
template <class T>
FASTRNN_INLINE void fetch(const T* p, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i += 64 / static_cast<ptrdiff_t>(sizeof(T))) __builtin_prefetch(p + i, 0, 2);
}

// Copies the chunk's rows of x, as they are and transposed: first as they are, for x is cold and a walk along its rows
// is what prefetchers follow.
template <class T>
void SoftmaxLoss<T>::take_rows(const Work& w) const {
  const Range groups = part(ceil_div(w.count, kBlock), a_.threads, w.thread);
  for (ptrdiff_t begin = groups.begin * kBlock; begin < groups.end * kBlock; begin += kBlock) {
    for (ptrdiff_t i = begin; i < begin + kBlock; ++i) {
      const ptrdiff_t index = i < w.count ? a_.chain[w.first + i] : -1;
      target_[i] = index >= 0 ? a_.targets[index] : -1;
      T* to = x_ + i * wide_;
      ptrdiff_t j = 0;
      if (index >= 0) {
        const T* from = row_of(a_.x, index);
        for (; j + U <= a_.inputs; j += U) store(to + j, load(from + j));
        if (j < a_.inputs) {
          store(to + j, load_n(from + j, a_.inputs - j));
          j += U;
        }
      }
      for (; j < wide_; j += U) store(to + j, V{});
    }
    transpose_cells(xt_ + begin, stride_, kBlock, a_.inputs, operands_,
                    [&](ptrdiff_t i) -> const T* { return x_ + (begin + i) * wide_; });
    if constexpr (std::is_same_v<T, float>)
      if (operands_.paired())
        pair_block(paired_x_ + begin / 2 * wide_, wide_, {x_ + begin * wide_, 0, wide_}, kBlock, wide_, kBlock / 2);
  }
}

template <class T>
Range SoftmaxLoss<T>::blocks_of(ptrdiff_t segment, int thread) const {
  const ptrdiff_t begin = segment * kSegmentBlocks, count = min_of(kSegmentBlocks, blocks_ - begin);
  if (!by_classes_) return {begin, begin + count};
  const Range mine = part(count, a_.threads, thread);
  return {begin + mine.begin, begin + mine.end};
}

// N vectors of rows: z becomes exp(z - top), with the block's largest logit and the sum; `again`: both are known.
// top is finite, so that a block of -inf adds nothing; NaN passes the maximum and shows in the sum.
template <class T>
template <int N>
void SoftmaxLoss<T>::exponentials(T* z, ptrdiff_t classes, T* top, T* sum, bool again) const {
  constexpr double kLowest = sizeof(T) == sizeof(float) ? -0x1.fffffep127 : -0x1.fffffffffffffp1023;
  V largest[N], total[N];
  for (int i = 0; i < N; ++i) {
    largest[i] = again ? load(top + i * U) : constant<V>(kLowest);
    total[i] = V{};
  }
  for (ptrdiff_t c = 0; !again && c < classes; ++c)
    for (int i = 0; i < N; ++i) largest[i] = max(load(z + c * stride_ + i * U), largest[i]);
  for (ptrdiff_t c = 0; c < classes; ++c)
    for (int i = 0; i < N; ++i) {
      T* at = z + c * stride_ + i * U;
      const V e = exp(load(at) - largest[i]);
      store(at, e);
      total[i] += e;
    }
  for (int i = 0; !again && i < N; ++i) {
    store(top + i * U, largest[i]);
    store(sum + i * U, total[i]);
  }
}

template <class T>
void SoftmaxLoss<T>::form_exponentials(const Work& w, ptrdiff_t block, bool again) const {
  const Range classes = classes_of(block);
  const ptrdiff_t count = classes.end - classes.begin;
  T* z = block_logits(block, w.thread);
  const T* weight = a_.weight + classes.begin * a_.inputs;
  const ptrdiff_t cells = operands_.cells(a_.inputs);
  if constexpr (std::is_same_v<T, float>)
    if (operands_.paired()) {
      T* paired = own_ + w.thread * own_size_;
      pair_grid(paired, cells, {weight, 0, a_.inputs}, 1, count, a_.inputs);
      weight = paired;
    }
  transposed_linear(weight, cells, cells, a_.bias, classes, xt_ + w.columns.begin, z + w.columns.begin, stride_,
                    w.columns.end - w.columns.begin, operands_);
  if (!again)
    for (ptrdiff_t i = w.columns.begin; i < w.columns.end; ++i)
      if (target_[i] >= classes.begin && target_[i] < classes.end)
        picked_[i] = z[(target_[i] - classes.begin) * stride_ + i];
  if (classes.end < a_.classes)
    fetch(a_.weight + classes.end * a_.inputs, min_of(kOutputBlock, a_.classes - classes.end) * a_.inputs);
  balanced({w.columns.begin / U, w.columns.end / U}, 2, [&](ptrdiff_t v0, ptrdiff_t v1) {
    const ptrdiff_t at = v0 * U;
    T *top = top_ + block * stride_ + at, *sum = sum_ + block * stride_ + at;
    if (v1 - v0 == 2)
      exponentials<2>(z + at, count, top, sum, again);
    else
      exponentials<1>(z + at, count, top, sum, again);
  });
}

// Statistics of the blocks, in order, into those of the row.
template <class T>
void SoftmaxLoss<T>::join_blocks(const Work& w) const {
  for (ptrdiff_t i = w.columns.begin; i < w.columns.end; i += U) {
    V top = load(top_ + i);
    for (ptrdiff_t b = 1; b < blocks_; ++b) top = max(load(top_ + b * stride_ + i), top);
    V sum{};
    for (ptrdiff_t b = 0; b < blocks_; ++b)
      sum = fma(load(sum_ + b * stride_ + i), exp(load(top_ + b * stride_ + i) - top), sum);
    store(w.shift + i, top);
    store(w.factor + i, sum);
  }
}

// Losses in double, and the sum of exponentials turned into the factor of the gradients.
template <class T>
void SoftmaxLoss<T>::row_losses(const Work& w) const {
  const bool mine = !by_classes_ || w.thread == 0;
  for (ptrdiff_t i = w.columns.begin; i < min_of(w.columns.end, w.count); ++i) {
    const bool counted = target_[i] >= 0;
    const double sum = static_cast<double>(w.factor[i]);
    if (mine)
      row_loss_[i] = counted ? ::log(sum) + (static_cast<double>(w.shift[i]) - static_cast<double>(picked_[i])) : 0.0;
  }
  for (ptrdiff_t i = w.columns.begin; i < w.columns.end; ++i)
    w.factor[i] = target_[i] >= 0 ? a_.scale / w.factor[i] : T(0);
}

// exp(z - top) becomes (softmax - onehot) * scale, and zero where the row does not count.
template <class T>
void SoftmaxLoss<T>::form_dlogits(const Work& w, ptrdiff_t block) const {
  const Range classes = classes_of(block);
  T* z = block_logits(block, w.thread);
  if (by_classes_ && a_.dweight != nullptr)
    fetch(a_.dweight + classes.begin * a_.inputs, (classes.end - classes.begin) * a_.inputs);
  T* factor = w.factor + stride_;  // of this block
  for (ptrdiff_t i = w.columns.begin; i < w.columns.end; i += U)
    store(factor + i, exp(load(top_ + block * stride_ + i) - load(w.shift + i)) * load(w.factor + i));
  // Row by row: z comes from the last level of the cache, in the order that its prefetcher knows.
  for (ptrdiff_t c = 0; c < classes.end - classes.begin; ++c)
    for (ptrdiff_t i = w.columns.begin; i < w.columns.end; i += U) {
      T* at = z + c * stride_ + i;
      const IntVec<T> counts = load(w.factor + i) != V{};
      store(at, (V)((IntVec<T>)(load(at) * load(factor + i)) & counts));
    }
  for (ptrdiff_t i = w.columns.begin; i < w.columns.end; ++i)
    if (target_[i] >= classes.begin && target_[i] < classes.end)
      z[(target_[i] - classes.begin) * stride_ + i] -= a_.scale;
}

// dW += dz x; the depth is the rows in the order of the chain.  z: the first of `classes`.
template <class T>
void SoftmaxLoss<T>::add_dweight(const Work& w, Range classes, Range inputs, const T* z) const {
  const bool paired = operands_.paired();
  balanced(classes, paired ? kOutputBlock : classes.end - classes.begin, [&](ptrdiff_t c0, ptrdiff_t c1) {
    Rows<const T> dz{z + (c0 - classes.begin) * stride_, 0, stride_};
    if constexpr (std::is_same_v<T, float>)
      if (paired) {
        T* cells = own_ + w.thread * own_size_;
        pair_grid(cells, stride_ / 2, dz, 1, c1 - c0, w.count);
        dz = {cells, 0, stride_ / 2};
      }
    T* to = a_.dweight + c0 * a_.inputs + inputs.begin;
    product<T>({1,
                c1 - c0,
                operands_.cells(w.count),
                inputs.end - inputs.begin,
                dz,
                {to, 0, a_.inputs},
                {to, 0, a_.inputs},
                (paired ? paired_x_ : x_) + inputs.begin,
                wide_,
                1,
                0,
                operands_.tiles()});
  });
}

// db += sums of the rows of dz, each one chain: squares are transposed so that a lane is a class.
template <class T>
void SoftmaxLoss<T>::add_dbias(const Work& w, Range classes, const T* z) const {
  for (ptrdiff_t c = classes.begin; c < classes.end; c += U) {
    const ptrdiff_t n = min_of(U, classes.end - c);
    const T* rows = z + (c - classes.begin) * stride_;
    V sum = load_n(a_.dbias + c, n);
    for (ptrdiff_t i = 0; i < w.count; i += U) {
      V square[U];
      for (ptrdiff_t k = 0; k < U; ++k) square[k] = k < n ? load(rows + k * stride_ + i) : V{};
      transpose<T>(square);
      const ptrdiff_t count = min_of(U, w.count - i);
      if (count == U)
        for (ptrdiff_t k = 0; k < U; ++k) sum += square[k];
      else
        for (ptrdiff_t k = 0; k < count; ++k) sum += square[k];
    }
    store_n(a_.dbias + c, sum, n);
  }
}

// dx = dz' W over one segment of the classes; the last segment writes it out.
template <class T>
void SoftmaxLoss<T>::add_dx(const Work& w, ptrdiff_t segment) const {
  const MatrixShare s = by_classes_ ? matrix_share<T>(w.count, a_.inputs, a_.threads, w.thread)
                                    : MatrixShare{{w.columns.begin, min_of(w.columns.end, w.count)}, {0, a_.inputs}};
  if (s.empty()) return;
  const ptrdiff_t width = s.columns.end - s.columns.begin;
  if (segment == 0)
    for (ptrdiff_t i = s.rows.begin; i < s.rows.end; ++i)
      for (ptrdiff_t j = s.columns.begin; j < s.columns.begin + round_to_block(width); j += U)
        store(dx_ + i * wide_ + j, V{});
  const ptrdiff_t begin = segment * kSegmentBlocks * kOutputBlock,
                  end = min_of(a_.classes, begin + kSegmentBlocks * kOutputBlock);
  const ptrdiff_t pairs = operands_.paired() ? 2 : 1;  // classes are cut where no pair is
  balanced({begin / pairs, ceil_div(end, pairs)}, kClassDepth / pairs, [&](ptrdiff_t first, ptrdiff_t last) {
    const ptrdiff_t c0 = first * pairs, c1 = min_of(end, last * pairs);
    if (c1 < end) fetch(a_.weight + c1 * a_.inputs, min_of(kClassDepth, end - c1) * a_.inputs);
    for (ptrdiff_t c = c1; c < min_of(end, c1 + kClassDepth); ++c)
      fetch(z_ + (c - begin) * stride_ + s.rows.begin, s.rows.end - s.rows.begin);
    add_classes(w, {c0, c1}, z_ + (c0 - begin) * stride_ + s.rows.begin, s);
  });
  if (segment + 1 < segments_) return;
  for (ptrdiff_t i = s.rows.begin; i < s.rows.end; ++i) {
    if (target_[i] < 0) continue;
    T* to = row_of(a_.dx, a_.chain[w.first + i]);
    for (ptrdiff_t j = s.columns.begin; j < s.columns.end; j += U)
      store_n(to + j, load(dx_ + i * wide_ + j), min_of(U, s.columns.end - j));
  }
}

// dx += dz' W of some classes, for a share of dx.  z: of the first of these classes and rows.
template <class T>
void SoftmaxLoss<T>::add_classes(const Work& w, Range classes, const T* z, const MatrixShare& s) const {
  const ptrdiff_t count = classes.end - classes.begin, rows = s.rows.end - s.rows.begin,
                  width = s.columns.end - s.columns.begin;
  Rows<const T> dz{z, 0, stride_}, weight{a_.weight + classes.begin * a_.inputs + s.columns.begin, 0, a_.inputs};
  if constexpr (std::is_same_v<T, float>)
    if (operands_.paired()) {
      T *const cells = own_ + w.thread * own_size_, *const of_weight = cells + kClassDepth / 2 * stride_;
      pair_block(cells, stride_, dz, count, rows, operands_.cells(count));
      pair_block(of_weight, wide_, weight, count, width, operands_.cells(count));
      dz.p = cells;
      weight = {of_weight, 0, wide_};
    }
  outer_product<T>({1, operands_.cells(count), dz, weight, dx_ + s.rows.begin * wide_ + s.columns.begin, wide_, rows,
                    width, -1, nullptr, operands_.tiles()});
}

}  // namespace fastrnn::FASTRNN_ISA
