#include "kernels/table.h"
#include "kernels/word2vec_train.h"

namespace fastrnn::FASTRNN_ISA {

void fill_word2vec(Kernels& table) { table.word2vec = {&w2v::scratch_bytes, &w2v::train}; }

}  // namespace fastrnn::FASTRNN_ISA
