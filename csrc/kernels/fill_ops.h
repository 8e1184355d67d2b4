// Every topic around the cells enters its functions; see ops.cc.
#pragma once

#include "kernels/table.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void fill_linear(OpKernels<T>& ops);
template <class T>
void fill_cross_entropy(OpKernels<T>& ops);
template <class T>
void fill_embedding(OpKernels<T>& ops);
template <class T>
void fill_dropout(OpKernels<T>& ops);
template <class T>
void fill_hold(OpKernels<T>& ops);
template <class T>
void fill_pool(OpKernels<T>& ops);
template <class T>
void fill_convolution(OpKernels<T>& ops);
template <class T>
void fill_attention(OpKernels<T>& ops);
template <class T>
void fill_nearest(OpKernels<T>& ops);
template <class T>
void fill_optim(OpKernels<T>& ops);
template <class T>
void fill_elementwise(OpKernels<T>& ops);

}  // namespace fastrnn::FASTRNN_ISA
