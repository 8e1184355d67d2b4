// Lets a long call be stopped from outside: one thread asks, all see the answer.
#pragma once

#include <atomic>

namespace fastrnn {

class Interrupt {
 public:
  explicit Interrupt(bool (*ask)()) noexcept : ask_(ask) {}
  // True once the call should end.  Thread 0 asks at most every 100 ms; `ask` null: never.
  bool check(int thread) noexcept;
  bool stopped() const noexcept;

 private:
  bool (*const ask_)();
  long long next_ = 0;  // nanoseconds of the steady clock
  std::atomic<bool> stopped_{false};
};

}  // namespace fastrnn
