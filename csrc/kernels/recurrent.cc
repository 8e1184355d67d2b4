// The list of cells: one line each.  The order is that of enum class Cell.
#include "kernels/cells/lstm.h"
#include "kernels/sequence_backward.h"
#include "kernels/sequence_forward.h"
#include "kernels/table.h"

namespace fastrnn::FASTRNN_ISA {
namespace {

template <class C, class T>
RecurrentKernels<T> recurrent() {
  return {{C::kName, C::kSlots, C::kStates},
          forward_sizes<C, T>,
          backward_sizes<C, T>,
          run_forward<C, T>,
          run_backward<C, T>};
}

template <class... Cells>
void fill_cells(Kernels& table) {
  int i = 0;
  ((table.f32.recurrent[i] = recurrent<Cells, float>(), table.f64.recurrent[i++] = recurrent<Cells, double>()), ...);
}

}  // namespace

void fill_recurrent(Kernels& table) { fill_cells<Lstm>(table); }

}  // namespace fastrnn::FASTRNN_ISA
