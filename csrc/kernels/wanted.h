// Gradients by operands between the product that forms them and the pointwise that wants them.
#pragma once

#include "kernels/sequence.h"

namespace fastrnn::FASTRNN_ISA {

// Rows x units for each of some operands: of a tile, whose pointwise is next, or of the step.
template <class T>
struct WantedGradients {
  T* p;
  ptrdiff_t operand, row, unit, stride;  // from one operand to the next; the first row and unit; from row to row
  T* at(int place, ptrdiff_t b, ptrdiff_t u) const { return p + place * operand + (b - row) * stride + u - unit; }
};

// Those of a tile.
template <class T, int places>
struct LocalGradients {
  alignas(64) T at[places][kRowBlock][kGroupColumns];
  WantedGradients<T> of(const BatchRows& rows, Range blocks) {
    return {at[0][0], kRowBlock * kGroupColumns, rows.begin, blocks.begin * kBlock, kGroupColumns};
  }
};

}  // namespace fastrnn::FASTRNN_ISA
