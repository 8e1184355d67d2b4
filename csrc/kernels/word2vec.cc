#include "kernels/table.h"
#include "kernels/word2vec_train.h"

namespace fastrnn::FASTRNN_ISA {
namespace {

void train(const Word2Vec& a) noexcept { a.deterministic ? w2v::train_deterministic(a) : w2v::train_hogwild(a); }

}  // namespace

void fill_word2vec(Kernels& table) { table.word2vec = {&w2v::scratch_bytes, &train}; }

}  // namespace fastrnn::FASTRNN_ISA
