#include "kernels/elementwise.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_elementwise(OpKernels<T>& ops) {
  ops.map = &map<T>;
  ops.fma_flops = &fma_flops<T>;
}
template void fill_elementwise(OpKernels<float>&);
template void fill_elementwise(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
