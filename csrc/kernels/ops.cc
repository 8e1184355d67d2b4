#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {
namespace {

template <class T>
void fill(OpKernels<T>& ops) {
  fill_linear(ops);
  fill_cross_entropy(ops);
  fill_embedding(ops);
  fill_dropout(ops);
  fill_hold(ops);
  fill_pool(ops);
  fill_convolution(ops);
  fill_attention(ops);
  fill_nearest(ops);
  fill_optim(ops);
  fill_elementwise(ops);
}

}  // namespace

void fill_ops(Kernels& table) {
  fill(table.f32.ops);
  fill(table.f64.ops);
}

}  // namespace fastrnn::FASTRNN_ISA
