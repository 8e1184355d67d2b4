#include "kernels/dropout.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_dropout(OpKernels<T>& ops) {
  ops.dropout = &dropout<T>;
}
template void fill_dropout(OpKernels<float>&);
template void fill_dropout(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
