#include "kernels/cross_entropy.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_cross_entropy(OpKernels<T>& ops) {
  ops.cross_entropy_scratch = &cross_entropy_scratch<T>;
  ops.cross_entropy = &cross_entropy<T>;
}
template void fill_cross_entropy(OpKernels<float>&);
template void fill_cross_entropy(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
