// A team of threads for one public call, and the barrier inside it.  OpenMP is named in threads.cc alone.
#pragma once

#include <atomic>
#include <cstddef>

namespace fastrnn {

// Process-wide.  The default is the affinity mask cut by the cgroup's CPU quota and by OMP_NUM_THREADS.
int num_threads() noexcept;
void set_num_threads(int count);  // count >= 1, checked by the caller

// Threads that a call may use now: num_threads(), cut by the OpenMP limit of the calling thread (threadpoolctl).
int usable_threads() noexcept;

// Runs body(context, thread) on threads 0 .. count-1 at once; the caller is thread 0.  Denormals are flushed to zero
// in every member and the caller's mode is restored.  The body must not throw.
void run_team(int count, void (*body)(void* context, int thread) noexcept, void* context);

template <class F>
static inline void run_team(int count, F& body) {
  run_team(
      count, [](void* context, int thread) noexcept { (*static_cast<F*>(context))(thread); }, &body);
}

// All members wait for each other: bounded spin, then sleep.  A vote to stop is seen by all members at the same
// barrier: wait() returns true there for every one of them.
class Barrier {
 public:
  explicit Barrier(int members) noexcept : members_(members) {}
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  bool wait(bool stop = false) noexcept;
  // How often any member has waited since the process began: tests of "no barrier" read it.
  static long long waits() noexcept;

 private:
  const int members_;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> phase_{0};
  std::atomic<bool> stop_[2]{};
};

}  // namespace fastrnn
