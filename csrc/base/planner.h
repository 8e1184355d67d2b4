// How a call is shared among threads, decided from the shape.
#pragma once

#include "base/args.h"

namespace fastrnn {

struct Machine {
  int threads;          // that the call may use
  ptrdiff_t l2_bytes;   // of one core
  ptrdiff_t fma_bytes;  // operands of the fused multiply-adds of one cycle
  bool hides_far;       // multiplies while weights come from beyond the second level
};

struct Decision {
  Plan forward, backward;
  double predicted_share;  // of the FMA peak, for a training step
};

Decision decide(const Shape& shape, const CellInfo& cell, ptrdiff_t element_bytes, const Machine& machine);

}  // namespace fastrnn
