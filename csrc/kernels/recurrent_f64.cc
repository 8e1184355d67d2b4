// All cells in float64.
#include "kernels/recurrent.h"

namespace fastrnn::FASTRNN_ISA {

void fill_recurrent(RecurrentKernels<double>* table) { fill_all_cells(table); }

}  // namespace fastrnn::FASTRNN_ISA
