// The list of cells: one line each.  A number type is compiled by itself: it is half of the work.
#pragma once

#include "kernels/cells/gru.h"
#include "kernels/cells/gru_norm.h"
#include "kernels/cells/gru_reset_before.h"
#include "kernels/cells/leaky.h"
#include "kernels/cells/lstm.h"
#include "kernels/cells/lstm_coupled.h"
#include "kernels/cells/lstm_depth_gated.h"
#include "kernels/cells/lstm_full_peephole.h"
#include "kernels/cells/lstm_norm.h"
#include "kernels/cells/lstm_peephole.h"
#include "kernels/cells/lstm_projected.h"
#include "kernels/cells/min_gru.h"
#include "kernels/cells/min_lstm.h"
#include "kernels/cells/rnn.h"
#include "kernels/scan.h"
#include "kernels/sequence_backward.h"
#include "kernels/sequence_forward.h"
#include "kernels/table.h"

namespace fastrnn::FASTRNN_ISA {

// Of a cell that says how much of h it keeps.
template <class C, class T>
FASTRNN_INLINE constexpr auto scan_of() -> void (*)(const Scan<T>&) noexcept {
  if constexpr (C::kKeeps)
    return run_scan<C, T>;
  else
    return nullptr;
}

template <class C, class T>
FASTRNN_INLINE RecurrentKernels<T> recurrent() {
  using Of = Traits<C>;
  static_assert(C::kMade <= 1 && C::kStates <= kMaxStates);
  return {{C::kName,
           C::kInput.count,
           {Of::gates_of_matrix(0), Of::gates_of_matrix(1)},
           Of::kUnits,
           C::kSlots,
           C::kStates,
           Of::barriers(),
           C::kProjects,
           Of::sees_made_states(),
           C::kSide >= 0,
           Of::kByRow,
           C::kInner.count},
          forward_sizes<C, T>,
          backward_sizes<C, T>,
          run_forward<C, T>,
          run_backward<C, T>,
          scan_of<C, T>()};
}

template <class... Cells, class T>
FASTRNN_INLINE void fill_cells(RecurrentKernels<T>* table) {
  int i = 0;
  ((table[i++] = recurrent<Cells, T>()), ...);
}

template <class T>
FASTRNN_INLINE void fill_all_cells(RecurrentKernels<T>* table) {
  fill_cells<Lstm, LstmCoupled, LstmPeephole, LstmFullPeephole, LstmProjected, LstmDepthGated, Gru, GruResetBefore,
             Rnn<Tanh>, Rnn<Relu>, Rnn<Sigmoid>, Rnn<Identity>, MinGru, MinLstm, Leaky, LstmNorm, LstmNormByGate,
             GruNorm, GruNormByGate>(table);
}

}  // namespace fastrnn::FASTRNN_ISA
