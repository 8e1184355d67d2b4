// Arguments of the kernels that surround the cells in a training step: plain structs, as in base/args.h.
// Kernels never allocate: `scratch` has the elements that the *_scratch function asks for, 64-byte aligned.
#pragma once

#include "base/args.h"

namespace fastrnn {

// y = x W' + b over a grid of rows.
template <class T>
struct Linear {
  ptrdiff_t steps, rows, inputs, outputs;
  Rows<const T> x;  // [steps, rows, inputs]
  const T* weight;  // [outputs, inputs], rows weight_stride apart
  ptrdiff_t weight_stride;
  const T* bias;  // [outputs] or null
  Rows<T> y;      // [steps, rows, outputs]  out
  int threads;
  const void* pairs;  // as in Plan
  T* scratch;
};

// Sums over rows run from the last step to the first, batch rows ascending within a step.
template <class T>
struct LinearBackward {
  ptrdiff_t steps, rows, inputs, outputs;
  Rows<const T> dy;  // [steps, rows, outputs]
  Rows<const T> x;   // [steps, rows, inputs]
  const T* weight;   // [outputs, inputs], rows weight_stride apart
  ptrdiff_t weight_stride;
  Rows<T> dx;   // [steps, rows, inputs]  out, p null: not wanted
  bool add_dx;  // add into dx instead
  T* dweight;   // [outputs, inputs], rows dweight_stride apart, added into, null: not wanted
  ptrdiff_t dweight_stride;
  T* dbias;  // [outputs], added into, null: not wanted
  int threads;
  const void* pairs;  // as in Plan
  T* scratch;
};

// Sum over the counted rows of log(sum(exp(z))) - z[target] with z = W x + b, and, when `gradients`, the gradients of
// scale times that sum.
template <class T>
struct CrossEntropy {
  ptrdiff_t rows, inputs, classes;
  Rows<const T> x;              // [*, rows, inputs]
  const T* weight;              // [classes, inputs]
  const T* bias;                // [classes] or null
  const std::int32_t* targets;  // [*, rows], each in [0, classes) if it is in the chain
  const ptrdiff_t* chain;       // [length], which elements of targets are worked on, in this order; -1: none
  ptrdiff_t length;
  bool gradients;
  T scale;
  T* dweight;  // [classes, inputs], added into, null: not wanted
  T* dbias;    // [classes], added into, null: not wanted
  Rows<T> dx;  // [*, rows, inputs]  out for those of the chain, p null: not wanted
  int threads;
  const void* pairs;  // as in Plan
  T* scratch;
  bool (*interrupted)();  // asked by thread 0 now and then; true: leave early
};

// y[i] = table[tokens[i]]
template <class T>
struct Embedding {
  ptrdiff_t count, columns;
  const std::int32_t* tokens;  // [count], each a row of table
  const T* table;              // [*, columns]
  T* y;                        // [count, columns]  out
  int threads;
};

// dtable[tokens[t, b]] += dy[t, b], from the last step to the first, batch rows ascending within a step.
template <class T>
struct EmbeddingBackward {
  ptrdiff_t steps, rows, columns;
  const std::int32_t* tokens;  // [steps, rows]
  Rows<const T> dy;            // [steps, rows, columns]
  T* dtable;                   // [*, columns], added into
  int threads;
};

// y = x / (1 - p) where kept, else +0.  Element (step s, row b, unit u) is kept when word u % 4 of
// philox(key, u / 4 | b << 32, first_step + s) is at least `threshold` = floor(p 2^32).
template <class T>
struct Dropout {
  ptrdiff_t steps, rows, units;
  Rows<const T> x;  // [steps, rows, units]
  Rows<T> y;        // [steps, rows, units]  out
  std::uint64_t key, first_step;
  std::uint32_t threshold;
  T scale;
  int threads;
};

// A state of which there are some versions, each held for some steps.
template <class T>
struct Hold {
  Shape steps, versions;  // steps and rows of `held` and of `from`, of unlike lengths perhaps
  ptrdiff_t columns;
  Rows<T> held;            // out; backward: the gradients by them
  Rows<T> from;            // backward: out: the sums of those, from the last step on
  const std::int32_t* of;  // [steps], ascending: which of the versions a step holds
  bool backward;
  int threads;
};

// The `topn` rows of a matrix whose product with a query, times the scale of the row, is largest: best first, NaN last,
// of equal ones the smaller index first.  A product is one chain of fma over the depth.
template <class T>
struct Nearest {
  ptrdiff_t queries, rows, depth;
  ptrdiff_t topn;  // 1 <= topn <= rows
  const T* query;  // [queries, depth]
  ptrdiff_t query_stride;
  const T* row;  // [rows, depth]
  ptrdiff_t row_stride;
  const T* scale;       // [rows] or null: all 1
  T* score;             // [queries, topn]  out
  std::int64_t* index;  // [queries, topn]  out
  int threads;
  T* scratch;
};

enum class PoolKind { kLast, kMean, kMax };

// y[b] from x[t, b] of the steps t < lengths[b]: the last of them, their mean, or the largest of each column, the first
// one where several are equal.  A row without steps gives zeros.
template <class T>
struct Pool {
  ptrdiff_t steps, rows, columns;
  Rows<const T> x;              // [steps, rows, columns]
  const std::int32_t* lengths;  // [rows], each in [0, steps]
  PoolKind kind;
  ptrdiff_t turned;  // kLast: this many columns, the last ones, run backwards in time: their last step is step 0
  T* y;              // [rows, columns]  out; in of the backward pass
  Rows<const T> dy;  // [1, rows, columns], of the backward pass
  Rows<T> dx;        // [steps, rows, columns]  out of the backward pass
  int threads;
};

// y[b, f] = max over t < lengths[b] of bias[f] + sum over j, i of weight[f, i, j] x[t + j - (width - 1) / 2, b, i], x
// being zero outside of the row: convolution over the steps and the largest over time.  The first step counts where
// several are equal, a NaN is the largest.  A row without steps gives zeros.
template <class T>
struct Convolution {
  ptrdiff_t steps, rows, inputs, filters, width;
  Rows<const T> x;              // [steps, rows, inputs]
  const std::int32_t* lengths;  // [rows], each in [0, steps]
  const T* weight;              // [filters, inputs, width]
  const T* bias;                // [filters]
  T* y;                         // [rows, filters]  out; not used in the backward pass
  std::int32_t* at;             // [rows, filters]  out: the step of the largest, -1 without steps
  int threads;
  T* scratch;
};

// Sums over rows run upwards, those over filters too.
template <class T>
struct ConvolutionBackward {
  Convolution<T> of;       // as forward had it
  const std::int32_t* at;  // [rows, filters], each in [-1, steps)
  Rows<const T> dy;        // [1, rows, filters]
  Rows<T> dx;              // [steps, rows, inputs]  out, p null: not wanted
  T* dweight;              // [filters, inputs, width], added into
  T* dbias;                // [filters], added into
  T* scratch;
};

// context[s] = sum over t of a[s, t] v[t] with a = softmax over t of the scores of query s and key t, for each row.
// A row that the mask leaves nothing of gives zeros.
template <class T>
struct Attention {
  ptrdiff_t queries, keys, rows, depth, width;
  Rows<const T> q;           // [queries, rows, depth]
  Rows<const T> k;           // [keys, rows, depth]
  Rows<const T> v;           // [keys, rows, width]
  const std::uint8_t* mask;  // [rows, keys], 0: not looked at; or null
  const T* energy;           // [depth]: scores are sum energy * tanh(q + k); or null: scale * sum q * k
  T scale;
  T* weights;       // [rows, queries, keys]  out; in of the backward pass
  Rows<T> context;  // [queries, rows, width]  out; not used in the backward pass
  int threads;
};

template <class T>
struct AttentionBackward {
  Attention<T> of;         // as forward had it
  Rows<const T> dcontext;  // [queries, rows, width]
  Rows<T> dq, dk, dv;      // like q, k, v  out
  T* denergy;              // [depth], added into, rows ascending; null without energy
  T* scratch;
};

// One contiguous stretch of parameters and what belongs to it.  No two arrays may overlap.
template <class T>
struct Span {
  ptrdiff_t length;
  T* param;
  T* grad;
  T* first;   // momentum, or the first moment; may be null for plain SGD and RMSProp; null for Adagrad
  T* second;  // the second moment, or the sum of squares; null for SGD
};

// Gradients are multiplied by min(1, max_norm / (norm + 1e-6)) when clip is set, as torch.nn.utils.clip_grad_norm_.
template <class T>
struct Optimizer {
  const Span<T>* spans;
  ptrdiff_t count;
  bool clip, zero_grad;
  double max_norm;
  double lr, weight_decay;
  double momentum, dampening;  // SGD
  bool nesterov;
  double beta1, beta2, eps;  // Adam; RMSProp has beta2 and eps, Adagrad eps
  bool decoupled;            // AdamW
  std::int64_t step;         // Adam; from 1
  int threads;
  double* partial;  // norm_partials() elements of scratch, null when there is no norm to take
  bool guard;       // with clip: where the norm is not finite, change nothing, gradients included
};

// Partial sums of the squared norm: one for each block of this many elements of a span, added up in order.
inline constexpr ptrdiff_t kNormBlock = 4096;

enum class Map { kExp, kSigmoid, kTanh };

template <class T>
struct OpKernels {
  ptrdiff_t (*linear_scratch)(const Linear<T>&) noexcept;
  void (*linear)(const Linear<T>&) noexcept;
  ptrdiff_t (*linear_backward_scratch)(const LinearBackward<T>&) noexcept;
  void (*linear_backward)(const LinearBackward<T>&) noexcept;
  ptrdiff_t (*cross_entropy_scratch)(const CrossEntropy<T>&) noexcept;
  bool (*cross_entropy)(const CrossEntropy<T>&, double* loss) noexcept;  // true: interrupted
  void (*embedding)(const Embedding<T>&) noexcept;
  void (*embedding_backward)(const EmbeddingBackward<T>&) noexcept;
  void (*dropout)(const Dropout<T>&) noexcept;
  void (*hold)(const Hold<T>&) noexcept;
  void (*pool)(const Pool<T>&) noexcept;
  void (*pool_backward)(const Pool<T>&) noexcept;
  ptrdiff_t (*convolution_scratch)(const Convolution<T>&) noexcept;
  void (*convolution)(const Convolution<T>&) noexcept;
  ptrdiff_t (*convolution_backward_scratch)(const Convolution<T>&) noexcept;
  void (*convolution_backward)(const ConvolutionBackward<T>&) noexcept;
  void (*attention)(const Attention<T>&) noexcept;
  ptrdiff_t (*attention_scratch)(const Attention<T>&) noexcept;  // of the backward pass
  void (*attention_backward)(const AttentionBackward<T>&) noexcept;
  ptrdiff_t (*nearest_scratch)(const Nearest<T>&) noexcept;
  void (*nearest)(const Nearest<T>&) noexcept;
  double (*global_norm)(const Optimizer<T>&) noexcept;
  double (*sgd)(const Optimizer<T>&) noexcept;   // the norm before clipping, NaN without clip
  double (*adam)(const Optimizer<T>&) noexcept;  // the same, as the next two
  double (*rmsprop)(const Optimizer<T>&) noexcept;
  double (*adagrad)(const Optimizer<T>&) noexcept;
  void (*clip_value)(const Optimizer<T>&) noexcept;  // gradients into [-max_norm, max_norm]
  void (*map)(Map, const T* x, T* y, ptrdiff_t length) noexcept;
  double (*fma_flops)(ptrdiff_t rounds) noexcept;  // works in registers; returns the number of operations done
};

}  // namespace fastrnn
