#include "kernels/nearest.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_nearest(OpKernels<T>& ops) {
  ops.nearest_scratch = &nearest_scratch<T>;
  ops.nearest = &nearest<T>;
}
template void fill_nearest(OpKernels<float>&);
template void fill_nearest(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
