// States that are written now and then and held in between, and the gradients by them.
#pragma once

#include "base/ops.h"
#include "base/threads.h"
#include "kernels/grid.h"

namespace fastrnn::FASTRNN_ISA {

// to = from, or to += from.
template <class T>
FASTRNN_INLINE void pass_on(T* to, const T* from, ptrdiff_t columns, bool add) {
  for (ptrdiff_t i = 0; i < columns; i += kLanes<T>) {
    const ptrdiff_t left = columns - i;
    if (left >= kLanes<T>)
      store(to + i, add ? load(to + i) + load(from + i) : load(from + i));
    else
      store_n(to + i, add ? load_n(to + i, left) + load_n(from + i, left) : load_n(from + i, left), left);
  }
}

template <class T>
void hold(const Hold<T>& a) noexcept {
  auto body = [&](int thread) noexcept {
    const Range rows = part(a.rows, a.threads, thread);
    for (ptrdiff_t i = 1; i < a.steps; ++i) {
      const ptrdiff_t t = a.backward ? a.steps - i : i;
      if (t >= a.start && (t - a.start) % a.period == 0) continue;
      const Rows<T> held = moved(a.a, t, 0), before = moved(a.a, t - 1, 0);
      for (ptrdiff_t b = rows.begin; b < rows.end; ++b) {
        T *const at = held.p + b * held.inner, *const from = before.p + b * before.inner;
        pass_on(a.backward ? from : at, a.backward ? at : from, a.columns, a.backward);
      }
    }
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
