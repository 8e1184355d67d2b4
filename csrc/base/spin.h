// How a thread waits for another: bounded spin, then sleep.
#pragma once

#include <atomic>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/cpu.h"

namespace fastrnn {

static inline void spin_pause() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // `yield` is a no-op on most cores: the spin would last a microsecond
#endif
}

// Members of all teams that run now.
inline std::atomic<int> running_members{0};

// 2000 pauses are some 50 us on Zen 4: many barriers long, and far below a scheduler's slice.  A thread that spins on
// while its peer wants the core costs 20x (64 steps of 10 us beside one busy core: 388 ms, with the bound 20 ms).  With
// more members than cores a peer always wants it: then 16, and a barrier of 4 on two cores takes 3 us instead of 56.
static inline int spin_limit() noexcept {
  return running_members.load(std::memory_order_relaxed) <= available_cpus() ? 2000 : 16;
}

// Returns once value is not `old`; what its writer did before is visible then.  The writer must store with
// memory_order_seq_cst before notify_all(), which looks for sleepers: a weaker store could be seen after that look, and
// a thread that goes to sleep in between would not be woken.
static inline void wait_until_changed(const std::atomic<unsigned>& value, unsigned old, int spins) noexcept {
  // A pause takes some 60 cycles, as long as the whole barrier when the others are about to arrive.
  for (int i = 0; i < spins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    if (i >= 64) spin_pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace fastrnn
