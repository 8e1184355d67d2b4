// Every topic of csrc/kernels enters its functions into the table of this instruction set.
#pragma once

#include "dispatch.h"

namespace fastrnn::FASTRNN_ISA {

void fill_recurrent(RecurrentKernels<float>* table);
void fill_recurrent(RecurrentKernels<double>* table);
void fill_ops(Kernels& table);
void fill_word2vec(Kernels& table);
void fill_glove(Kernels& table);

void fill(Kernels& table);

}  // namespace fastrnn::FASTRNN_ISA
