#include "base/interrupt.h"

#include <chrono>

namespace fastrnn {

bool Interrupt::check(int thread) noexcept {
  if (thread == 0 && ask_ != nullptr) {
    constexpr long long kEvery = 100'000'000;
    const long long now = std::chrono::steady_clock::now().time_since_epoch().count();
    if (next_ == 0) next_ = now + kEvery;
    if (now >= next_) {
      next_ = now + kEvery;
      if (ask_()) stopped_.store(true, std::memory_order_relaxed);
    }
  }
  return stopped_.load(std::memory_order_relaxed);
}

bool Interrupt::stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }

}  // namespace fastrnn
