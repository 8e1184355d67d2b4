#include "kernels/hold.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_hold(OpKernels<T>& ops) {
  ops.hold = &hold<T>;
}
template void fill_hold(OpKernels<float>&);
template void fill_hold(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
