// Linear map, softmax and cross entropy as one kernel: logits live for a chunk of rows only.
//
// Everything is transposed: z [classes, rows of the chunk] = W x' + b.  So the softmax is vertical (a lane is a row,
// and its sums do not depend on the vector length), dW = dz x is a product with dz as its rows, dx = dz' W is an outer
// product with W as it is stored, and the one thing to transpose is a chunk of x.
//
// With pairs of bfloat16 each thread forms cells of W and of dz for a block of classes when a product is next.
//
// Sums of exponentials are taken over blocks of kOutputBlock classes, each relative to the block's own largest logit,
// and joined in order: one exp per logit, whichever thread has which block.
#pragma once

#include <math.h>

#include "base/interrupt.h"
#include "kernels/linear.h"
#include "kernels/math.h"

namespace fastrnn::FASTRNN_ISA {

// Most rows whose logits live at once.  700 rows, 10000 classes, 200 inputs, share of the peak: 176 rows .75, 256 .77,
// 352 .79; 860 rows in three chunks .73, in two .76.
inline constexpr ptrdiff_t kChunkRows = 448;
// Classes whose rows of W and of z stay in the caches while dx passes over them.
inline constexpr ptrdiff_t kClassDepth = 128;
// More classes than this are worked on in segments, and their logits formed twice: it bounds the scratch.
inline constexpr ptrdiff_t kSegmentBlocks = 65536 / kOutputBlock;

template <class T>
class SoftmaxLoss {
 public:
  SoftmaxLoss(const CrossEntropy<T>& args, T* base, ptrdiff_t* used = nullptr);
  // One thread of the team; true: interrupted.
  bool run(int thread, Barrier& barrier, Interrupt& interrupt, double* loss) const;

 private:
  using V = Vec<T>;
  static constexpr ptrdiff_t U = kLanes<T>;
  struct Work {              // of one thread on one chunk
    ptrdiff_t first, count;  // of the chain
    Range columns;           // its rows of the chunk in the softmax
    int thread;
    T *shift, *factor;  // [stride] of the thread: largest logit; scale / sum of exponentials, 0: not counted
  };

  template <class E>
  E* row_of(const Rows<E>& grid, ptrdiff_t index) const {
    return grid.p + index / a_.rows * grid.outer + index % a_.rows * grid.inner;
  }
  void take_rows(const Work& w) const;
  Range blocks_of(ptrdiff_t segment, int thread) const;
  Range classes_of(ptrdiff_t block) const {
    return {block * kOutputBlock, min_of(a_.classes, (block + 1) * kOutputBlock)};
  }
  T* block_logits(ptrdiff_t block, int thread) const {
    return z_ + (a_.gradients ? block % kSegmentBlocks : thread) * kOutputBlock * stride_;
  }
  void form_exponentials(const Work& w, ptrdiff_t block, bool again) const;
  template <int N>
  void exponentials(T* z, ptrdiff_t classes, T* top, T* sum, bool again) const;
  void join_blocks(const Work& w) const;
  void row_losses(const Work& w) const;
  void form_dlogits(const Work& w, ptrdiff_t block) const;
  void add_dweight(const Work& w, Range classes, Range inputs, const T* z) const;
  void add_dbias(const Work& w, Range classes, const T* z) const;
  void add_dx(const Work& w, ptrdiff_t segment) const;
  void add_classes(const Work& w, Range classes, const T* z, const MatrixShare& s) const;

  const CrossEntropy<T>& a_;
  Operands<T> operands_;
  ptrdiff_t chunk_, stride_, blocks_, segments_, wide_, own_size_;
  bool by_classes_;                // threads share the classes, else the rows of a chunk
  T *xt_, *x_, *paired_x_, *own_;  // cells along the inputs; rows; cells of pairs of them; cells of each thread
  T *z_, *top_, *sum_, *picked_, *softmax_, *dx_;
  double* row_loss_;
  std::int32_t* target_;
};

template <class T>
SoftmaxLoss<T>::SoftmaxLoss(const CrossEntropy<T>& args, T* base, ptrdiff_t* used) : a_(args), operands_(args.pairs) {
  chunk_ = round_to_block(ceil_div(a_.length, ceil_div(a_.length, kChunkRows)));
  stride_ = odd_lines(chunk_, sizeof(T));
  wide_ = odd_lines(round_to_block(a_.inputs), sizeof(T));
  blocks_ = ceil_div(a_.classes, kOutputBlock);
  segments_ = ceil_div(blocks_, kSegmentBlocks);
  by_classes_ = blocks_ >= 4 * a_.threads || segments_ > 1;
  Scratch<T> scratch{base};
  xt_ = scratch.take(operands_.cells(a_.inputs) * stride_);
  x_ = scratch.take(chunk_ * wide_);
  paired_x_ = scratch.take(operands_.paired() ? chunk_ / 2 * wide_ : 0);
  own_size_ = max_of(kOutputBlock * max_of(operands_.cells(wide_), stride_ / 2), kClassDepth / 2 * (stride_ + wide_));
  own_ = scratch.take(operands_.paired() ? a_.threads * own_size_ : 0);
  z_ = scratch.take((a_.gradients ? min_of(blocks_, kSegmentBlocks) : a_.threads) * kOutputBlock * stride_);
  top_ = scratch.take(blocks_ * stride_);
  sum_ = scratch.take(blocks_ * stride_);
  picked_ = scratch.take(stride_);
  softmax_ = scratch.take(3 * stride_ * a_.threads);
  dx_ = scratch.take(a_.dx.p == nullptr ? 0 : chunk_ * wide_);
  row_loss_ = reinterpret_cast<double*>(scratch.take(2 * chunk_));
  target_ = reinterpret_cast<std::int32_t*>(scratch.take(chunk_));
  if (used != nullptr) *used = scratch.used;
}

template <class T>
bool SoftmaxLoss<T>::run(int thread, Barrier& barrier, Interrupt& interrupt, double* loss) const {
  double total = 0;
  ptrdiff_t ready = 0;  // rows whose losses are known to thread 0 after the next barrier
  const auto add_losses = [&] {
    for (ptrdiff_t i = 0; thread == 0 && i < ready; ++i) total += row_loss_[i];
  };
  for (ptrdiff_t first = 0; first < a_.length; first += chunk_) {
    Work w{first, min_of(chunk_, a_.length - first), {}, thread, softmax_ + 3 * thread * stride_, nullptr};
    w.factor = w.shift + stride_;
    const ptrdiff_t groups = ceil_div(w.count, kBlock);
    const Range mine = by_classes_ ? Range{0, groups} : part(groups, a_.threads, thread);
    w.columns = {mine.begin * kBlock, mine.end * kBlock};
    const auto for_blocks = [&](ptrdiff_t segment, auto f) {
      const Range blocks = blocks_of(segment, thread);
      for (ptrdiff_t b = blocks.begin; b < blocks.end; ++b) f(b);
    };

    if (barrier.wait(interrupt.check(thread))) return true;
    add_losses();
    ready = w.count;
    take_rows(w);
    barrier.wait();
    for (ptrdiff_t s = 0; s < segments_; ++s) {
      if (s > 0 && barrier.wait(interrupt.check(thread))) return true;
      for_blocks(s, [&](ptrdiff_t b) { form_exponentials(w, b, false); });
    }
    barrier.wait();
    join_blocks(w);
    row_losses(w);
    for (ptrdiff_t s = 0; a_.gradients && s < segments_; ++s) {
      for_blocks(s, [&](ptrdiff_t b) {
        if (segments_ > 1) form_exponentials(w, b, true);
        form_dlogits(w, b);
        if (!by_classes_) return;
        if (a_.dweight != nullptr) add_dweight(w, classes_of(b), {0, a_.inputs}, block_logits(b, thread));
        if (a_.dbias != nullptr) add_dbias(w, classes_of(b), block_logits(b, thread));
      });
      if (barrier.wait(interrupt.check(thread))) return true;
      if (!by_classes_) {
        const MatrixShare share = matrix_share<T>(a_.classes, a_.inputs, a_.threads, thread);
        if (a_.dweight != nullptr && !share.empty())
          add_dweight(w, share.rows, share.columns, z_ + share.rows.begin * stride_);
        const Range classes = part(a_.classes, a_.threads, thread);
        if (a_.dbias != nullptr) add_dbias(w, classes, z_ + classes.begin * stride_);
      }
      if (a_.dx.p != nullptr) add_dx(w, s);
      if (s + 1 < segments_) barrier.wait();
    }
  }
  barrier.wait();
  add_losses();
  if (thread == 0) *loss = total;
  return false;
}

template <class T>
ptrdiff_t cross_entropy_scratch(const CrossEntropy<T>& a) noexcept {
  ptrdiff_t used = 0;
  SoftmaxLoss<T>(a, nullptr, &used);
  return used;
}

template <class T>
bool cross_entropy(const CrossEntropy<T>& a, double* loss) noexcept {
  const SoftmaxLoss<T> call(a, a.scratch);
  Barrier barrier(a.threads);
  Interrupt interrupt(a.interrupted);
  bool stopped = false;
  auto body = [&](int thread) noexcept {
    if (call.run(thread, barrier, interrupt, loss) && thread == 0) stopped = true;
  };
  run_team(a.threads, body);
  return stopped;
}

}  // namespace fastrnn::FASTRNN_ISA

#include "kernels/cross_entropy_phases.h"  // definitions of the members
