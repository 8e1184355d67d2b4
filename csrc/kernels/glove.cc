#include "kernels/glove.h"

#include "kernels/table.h"

namespace fastrnn::FASTRNN_ISA {

void fill_glove(Kernels& table) { table.glove = &glove::train; }

}  // namespace fastrnn::FASTRNN_ISA
