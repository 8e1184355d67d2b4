// A team of threads for one public call, and the barrier inside it.  OpenMP is named in threads.cc alone.
#pragma once

#include <atomic>
#include <cstddef>

namespace fastrnn {

// Process-wide.  The default is the affinity mask cut by the cgroup's CPU quota and by OMP_NUM_THREADS.  After a fork()
// the child starts at 1.
int num_threads() noexcept;
void set_num_threads(int count);  // count >= 1, checked by the caller

// Threads that a call may use now: num_threads(), cut by the OpenMP limit of the calling thread (threadpoolctl,
// torch.set_num_threads, OMP_THREAD_LIMIT); 1 inside somebody else's parallel region, whose members hold the cores.
int usable_threads() noexcept;

// Whether teams are started by OpenMP in this build.
bool uses_openmp() noexcept;

// Runs body(context, thread) on threads 0 .. count-1, all at the same time; the caller is thread 0.  Denormals are
// flushed to zero in every member and the caller's mode is restored.  The body must not throw.  Throws
// std::system_error, before any body has begun, when the system refuses threads.  May be called from several threads
// at once and from within a body.
void run_team(int count, void (*body)(void* context, int thread) noexcept, void* context);

template <class F>
static inline void run_team(int count, F& body) {
  run_team(count, [](void* context, int thread) noexcept { (*static_cast<F*>(context))(thread); }, &body);
}

// All members wait for each other: bounded spin, then sleep.  What a member wrote before is seen by all after.  A vote
// to stop is seen by all members at the same barrier: wait() returns true there for every one of them.
class alignas(64) Barrier {
 public:
  Barrier() noexcept : Barrier(1) {}
  explicit Barrier(int members) noexcept : members_(members) {}
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  ~Barrier();
  void set_members(int members) noexcept { members_ = members; }  // while nobody waits
  bool wait(bool stop = false) noexcept;
  // How many barriers of two or more members have been passed since the process began: tests of "no barrier" read it.
  // A Barrier adds its own when it is destroyed (so it must be): the row groups would fight for a shared counter.
  static long long waits() noexcept;

 private:
  // One cache line for all: with a line of its own for `phase_` a barrier of two takes 0.04-0.1 us longer (0.2).
  int members_;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> phase_{0};  // barriers passed; the members' "sense" is its change
  std::atomic<bool> stop_[2] = {};  // votes of the even and of the odd phases
};

}  // namespace fastrnn
