#include "kernels/pool.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_pool(OpKernels<T>& ops) {
  ops.pool = &pool<T>;
  ops.pool_backward = &pool_backward<T>;
}
template void fill_pool(OpKernels<float>&);
template void fill_pool(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
