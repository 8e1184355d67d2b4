#include "kernels/attention.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_attention(OpKernels<T>& ops) {
  ops.attention = &attention<T>;
  ops.attention_scratch = &attention_scratch<T>;
  ops.attention_backward = &attention_backward<T>;
}
template void fill_attention(OpKernels<float>&);
template void fill_attention(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
