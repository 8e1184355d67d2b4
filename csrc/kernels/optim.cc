#include "kernels/optim.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_optim(OpKernels<T>& ops) {
  ops.global_norm = &global_norm<T>;
  ops.sgd = &sgd<T>;
  ops.adam = &adam<T>;
  ops.rmsprop = &rmsprop<T>;
  ops.adagrad = &adagrad<T>;
  ops.clip_value = &clip_value<T>;
}
template void fill_optim(OpKernels<float>&);
template void fill_optim(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
