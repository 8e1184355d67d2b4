#include "kernels/fill_ops.h"
#include "kernels/linear_gradients.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_linear(OpKernels<T>& ops) {
  ops.linear_scratch = &linear_scratch<T>;
  ops.linear = &linear<T>;
  ops.linear_backward_scratch = &linear_backward_scratch<T>;
  ops.linear_backward = &linear_backward<T>;
}
template void fill_linear(OpKernels<float>&);
template void fill_linear(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
