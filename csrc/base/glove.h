// What the binding hands to the GloVe kernel: a plain struct, as in base/args.h.
#pragma once

#include "base/cooccurrence.h"

namespace fastrnn {

// Entries with one loss, and what a thread takes at a time.
inline constexpr ptrdiff_t kGloveSlice = 1024;

// Every word is there as a word and as a context.  Rows are `stride` apart, 64-byte aligned; of the columns beyond the
// size of vectors those of vectors are zero and those of squares are 1.
struct GloveTables {
  float *words, *contexts;                // [V, stride]
  float *word_squares, *context_squares;  // [V, stride]  sums of squared gradients
  float *word_biases, *context_biases;    // [V, 2]  a bias, and its sum of squared gradients
  ptrdiff_t stride;                       // a multiple of kBlock
};

struct Glove {
  GloveTables tables;
  const Cooccurrence* entries;  // [count]
  ptrdiff_t count;
  ptrdiff_t start, step;    // entry number i of the pass is entries[(start + i * step) % count]; both in [0, count)
  ptrdiff_t begin, end;     // of the pass
  float rate, most, power;  // an entry x has the weight min(1, (x / most) ^ power)
  int threads;
  double* losses;  // [slices of begin..end]  out: the sum of weight * error^2 / 2
};

}  // namespace fastrnn
