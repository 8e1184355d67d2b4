#include "kernels/embedding.h"

#include "kernels/fill_ops.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_embedding(OpKernels<T>& ops) {
  ops.embedding = &embedding<T>;
  ops.embedding_backward = &embedding_backward<T>;
}
template void fill_embedding(OpKernels<float>&);
template void fill_embedding(OpKernels<double>&);

}  // namespace fastrnn::FASTRNN_ISA
