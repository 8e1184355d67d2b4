// States that are held over steps until they are written again, and the gradients by them.
#pragma once

#include "base/ops.h"
#include "base/threads.h"
#include "kernels/grid.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void hold_forward(const Hold<T>& a, Range rows) {
  for (ptrdiff_t t = 0; t < a.steps.steps; ++t) {
    const Rows<T> to = a.steps.at(a.held, t), from = a.versions.at(a.from, a.of[t]);
    for (ptrdiff_t b = rows.begin; b < min_of(rows.end, a.steps.count(t)); ++b)
      for (ptrdiff_t i = 0; i < a.columns; i += kLanes<T>)
        store_units(to.p + b * to.inner + i, load_units(from.p + b * from.inner + i, a.columns - i), a.columns - i);
  }
}

template <class T>
void hold_backward(const Hold<T>& a, Range rows) {
  ptrdiff_t end = a.steps.steps;  // of the steps that hold this version
  for (ptrdiff_t version = a.versions.steps; version-- > 0;) {
    ptrdiff_t begin = end;
    while (begin > 0 && a.of[begin - 1] == version) --begin;
    const Rows<T> to = a.versions.at(a.from, version);
    for (ptrdiff_t b = rows.begin; b < min_of(rows.end, a.versions.count(version)); ++b) {
      ptrdiff_t last = end;  // of those that the row has
      while (last > begin && a.steps.count(last - 1) <= b) --last;
      for (ptrdiff_t i = 0; i < a.columns; i += kLanes<T>) {
        Vec<T> sum{};
        for (ptrdiff_t t = last; t-- > begin;) {
          const Rows<T> by = a.steps.at(a.held, t);
          sum = sum + load_units(by.p + b * by.inner + i, a.columns - i);
        }
        store_units(to.p + b * to.inner + i, sum, a.columns - i);
      }
    }
    end = begin;
  }
}

template <class T>
void hold(const Hold<T>& a) noexcept {
  auto body = [&](int thread) noexcept {
    const Range rows = part(a.versions.rows, a.threads, thread);
    a.backward ? hold_backward(a, rows) : hold_forward(a, rows);
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
