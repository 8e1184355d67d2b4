// All cells in float32.
#include "kernels/recurrent.h"

namespace fastrnn::FASTRNN_ISA {

void fill_recurrent(RecurrentKernels<float>* table) { fill_all_cells(table); }

}  // namespace fastrnn::FASTRNN_ISA
