#include "kernels/table.h"

#include "kernels/bfloat16.h"

#define FASTRNN_STRING_(x) #x
#define FASTRNN_STRING(x) FASTRNN_STRING_(x)

namespace fastrnn::FASTRNN_ISA {

void fill(Kernels& table) {
  table.name = FASTRNN_STRING(FASTRNN_ISA);
  table.vector_bytes = FASTRNN_VECTOR_BYTES;
  table.pairs = nullptr;
  table.pair_flops = nullptr;
  table.emulated_pairs = &kEmulatedPairs;
  fill_recurrent(table.f32.recurrent);
  fill_recurrent(table.f64.recurrent);
  fill_ops(table);
  fill_word2vec(table);
  fill_glove(table);
}

}  // namespace fastrnn::FASTRNN_ISA
