#include "base/threads.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <system_error>
#include <thread>
#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/cpu.h"
#include "base/spin.h"
#include "base/thread_pool.h"

namespace fastrnn {
namespace {

std::atomic<int> thread_count{0};  // 0: nobody has asked yet
std::atomic<bool> forked{false};
std::atomic<long long> barriers_passed{0};

#if defined(__unix__) || defined(__APPLE__)
void in_child() noexcept {
  forked.store(true, std::memory_order_relaxed);
  thread_count.store(1, std::memory_order_relaxed);
  running_members.store(0, std::memory_order_relaxed);
  forget_pool_threads();
}
// When the library is loaded, not when the first team starts: somebody else may have used the same OpenMP runtime
// before the fork, and the child would wait for that one's threads.
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, in_child);
#endif

int default_threads() noexcept {
  const int cpus = available_cpus();
  const char* text = std::getenv("OMP_NUM_THREADS");  // "4", or "4,2" for nested levels
  const long wanted = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  return wanted > 0 ? static_cast<int>(std::min<long>(wanted, cpus)) : cpus;
}

// Sets the floating-point mode of a kernel for the life of the object: denormals are zero, rounding to nearest, no
// traps.  The same in every member, whatever the thread did before, so results do not depend on who computes them.
// Restoring also forgets the exception flags that the kernel raised, so NumPy does not warn of them.
class KernelMode {
 public:
#if defined(__x86_64__)
  KernelMode() noexcept : before_(_mm_getcsr()) { _mm_setcsr(0x1F80u | _MM_FLUSH_ZERO_ON | kDenormalsAreZero); }
  ~KernelMode() { _mm_setcsr(before_); }

 private:
  static constexpr unsigned kDenormalsAreZero = 0x0040;
  const unsigned before_;
#elif defined(__aarch64__)
  KernelMode() noexcept {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
    __asm__ volatile("msr fpcr, %0" : : "r"(std::uint64_t{1} << 24));  // FZ: inputs and results
  }
  ~KernelMode() { __asm__ volatile("msr fpcr, %0" : : "r"(before_)); }

 private:
  std::uint64_t before_ = 0;
#else
  KernelMode() noexcept {}
#endif
 public:
  KernelMode(const KernelMode&) = delete;
  KernelMode& operator=(const KernelMode&) = delete;
};

class CountedMembers {
 public:
  explicit CountedMembers(int count) noexcept : count_(count) { running_members.fetch_add(count_, kOrder); }
  ~CountedMembers() { running_members.fetch_sub(count_, kOrder); }
  CountedMembers(const CountedMembers&) = delete;
  CountedMembers& operator=(const CountedMembers&) = delete;

 private:
  static constexpr auto kOrder = std::memory_order_relaxed;
  const int count_;
};

struct Job {
  TeamBody body;
  void* context;
};

void run_member(void* job, int thread) noexcept {
  const KernelMode mode;
  static_cast<const Job*>(job)->body(static_cast<const Job*>(job)->context, thread);
}

#if defined(_OPENMP)
// The count with which OpenMP begins a thread.  A thread that has another one was given it by somebody (threadpoolctl
// and torch.set_num_threads set it for the calling thread only), so it is asked of a thread that nobody has touched.
int openmp_default() noexcept {
  static const int count = [] {
    int answer = 0;
    try {
      std::thread([&answer] { answer = omp_get_max_threads(); }).join();
    } catch (const std::system_error&) {
      answer = omp_get_max_threads();
    }
    return answer;
  }();
  return count;
}

// False, and nothing has run, if OpenMP gives another number of threads than asked: it may (OMP_THREAD_LIMIT, a nested
// region, OMP_DYNAMIC), but a team with a missing member would wait for it at its first barrier for ever.
bool run_openmp_team(int count, Job& job) noexcept {
  bool complete = false;
  const int dynamic = omp_get_dynamic();
  if (dynamic != 0) omp_set_dynamic(0);
#pragma omp parallel num_threads(count) default(none) shared(count, job, complete)
  if (omp_get_num_threads() == count) {
    const int thread = omp_get_thread_num();
    if (thread == 0) complete = true;
    run_member(&job, thread);
  }
  if (dynamic != 0) omp_set_dynamic(dynamic);
  return complete;
}
#endif

}  // namespace

int num_threads() noexcept {
  int count = thread_count.load(std::memory_order_relaxed);
  if (count != 0) return count;
  const int wanted = default_threads();
  return thread_count.compare_exchange_strong(count, wanted, std::memory_order_relaxed) ? wanted : count;
}

void set_num_threads(int count) { thread_count.store(count, std::memory_order_relaxed); }

int usable_threads() noexcept {
  const int count = num_threads();
#if defined(_OPENMP)
  if (count > 1 && !forked.load(std::memory_order_relaxed)) {
    if (omp_in_parallel() != 0) return 1;
    const int own = omp_get_max_threads();
    const int wish = own < openmp_default() ? own : std::numeric_limits<int>::max();
    return std::max(1, std::min({count, wish, omp_get_thread_limit()}));
  }
#endif
  return count;
}

bool uses_openmp() noexcept {
#if defined(_OPENMP)
  return true;
#else
  return false;
#endif
}

void run_team(int count, TeamBody body, void* context) {
  const CountedMembers counted(count);
  Job job{body, context};
  if (count <= 1) return run_member(&job, 0);
#if defined(_OPENMP)
  if (!forked.load(std::memory_order_relaxed) && run_openmp_team(count, job)) return;
#endif
  run_pool_team(count, run_member, &job);
}

// Why this is free of races.  Let p be the phase that a member reads on entry; it cannot change before this member has
// arrived.  `arrived_` is only ever changed by read-modify-writes and by the reset, so the last arrival of p acquires
// what every member released: their data, and their votes in stop_[p % 2].  It alone then
//   - resets arrived_: nobody arrives at p + 1 before it has seen the new phase, which is stored later;
//   - clears stop_[(p + 1) % 2], the box of p - 1 and of p + 1.  Readers of p - 1 had read it before they arrived at p,
//     voters of p + 1 write it after they have seen the new phase;
//   - stores the phase.  The others acquire it and read stop_[p % 2], which stays as it is until the last arrival of
//     p + 1 clears it for p + 2, that is until every one of these readers has arrived at p + 1.
// So all members read the same votes, and a vote is neither lost nor seen twice.
bool Barrier::wait(bool stop) noexcept {
  if (members_ == 1) return stop;
  const unsigned phase = phase_.load(std::memory_order_relaxed);
  std::atomic<bool>& votes = stop_[phase & 1];
  if (stop) votes.store(true, std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
    const bool stopped = votes.load(std::memory_order_relaxed);
    arrived_.store(0, std::memory_order_relaxed);
    stop_[~phase & 1].store(false, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_seq_cst);
    phase_.notify_all();
    return stopped;
  }
  wait_until_changed(phase_, phase, spin_limit());
  return votes.load(std::memory_order_relaxed);
}

Barrier::~Barrier() {
  const unsigned passed = phase_.load(std::memory_order_relaxed);
  if (passed != 0) barriers_passed.fetch_add(passed, std::memory_order_relaxed);
}

long long Barrier::waits() noexcept { return barriers_passed.load(std::memory_order_relaxed); }

}  // namespace fastrnn
