// Counter-based random numbers.  A number depends on (key, counter) alone, so it is the same for any thread count,
// split or chunk, and backward draws again what forward drew.
//
// Philox4x32-10 (Salmon et al., SC 2011) for masks.  mix64 (the finaliser of SplitMix64: Steele, Lea, Flood, OOPSLA
// 2014) where a number is wanted at a time and a Philox block of four would be a fifth of the work: word2vec.
#pragma once

#include <cstdint>

namespace fastrnn {

static inline __attribute__((always_inline)) std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Number `index` of stream `key`.
static inline __attribute__((always_inline)) std::uint64_t draw64(std::uint64_t key, std::uint64_t index) {
  return mix64(key + (index + 1) * 0x9E3779B97F4A7C15u);
}

struct Philox {
  std::uint32_t x[4];
};

// counter: four words, key: two words.
static inline __attribute__((always_inline)) Philox philox(std::uint64_t key, std::uint64_t counter_lo,
                                                           std::uint64_t counter_hi) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter_lo), c1 = static_cast<std::uint32_t>(counter_lo >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(counter_hi), c3 = static_cast<std::uint32_t>(counter_hi >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace fastrnn
