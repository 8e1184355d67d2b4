// The kernels of one instruction set, chosen once and forceable by name.
#pragma once

#include <cstddef>

#include "base/args.h"
#include "base/ops.h"

namespace fastrnn {

template <class T>
struct KernelsOf {
  RecurrentKernels<T> recurrent[kCells];
  OpKernels<T> ops;
};

struct Word2Vec;  // base/word2vec.h
struct Word2VecKernels {
  ptrdiff_t (*scratch)(const Word2Vec&) noexcept;  // bytes
  void (*train)(const Word2Vec&) noexcept;
};

struct Glove;  // base/glove.h

struct Kernels {
  const char* name;
  int vector_bytes;
  const void* pairs;           // for Plan::pairs: its instruction for bfloat16; null: there is none
  const void* emulated_pairs;  // the same sums without one, slower than float32
  double (*pair_flops)(ptrdiff_t rounds) noexcept;  // as OpKernels::fma_flops, or null
  KernelsOf<float> f32;
  KernelsOf<double> f64;
  Word2VecKernels word2vec;
  void (*glove)(const Glove&) noexcept;
  template <class T>
  const KernelsOf<T>& of() const {
    if constexpr (sizeof(T) == sizeof(float))
      return f32;
    else
      return f64;
  }
};

// The table in use.  At first use: FASTRNN_ISA when set, else the best that this processor runs.
// Throws std::invalid_argument for a name that is unknown or cannot run here.
const Kernels& kernels();
void use_isa(const char* name);

// Names compiled in, best last; runnable ones satisfy can_run().
std::size_t isa_count();
const char* isa_name(std::size_t index);
bool can_run(const char* name);

}  // namespace fastrnn
