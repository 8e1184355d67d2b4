#include "kernels/convolution.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_convolution(OpKernels<T>& ops) {
  ops.convolution_scratch = &convolution_scratch<T>;
  ops.convolution = &convolution<T>;
  ops.convolution_backward_scratch = &convolution_backward_scratch<T>;
  ops.convolution_backward = &convolution_backward<T>;
}
template void fill_convolution(OpKernels<float>&);
template void fill_convolution(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
