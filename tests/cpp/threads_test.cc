// Teams, barriers and fork of csrc/base, without Python, for the sanitizers.
//   threads_test             everything
//   threads_test team        a team of 4 must be whole, whatever OMP_THREAD_LIMIT and OMP_DYNAMIC say
//   threads_test sabotage    the barrier check on a barrier that lets members through: must fail
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu.h"
#include "base/rng.h"
#include "base/threads.h"
#include "base/workspace.h"
#include "check.h"
#if defined(_OPENMP)
#include <omp.h>
#endif

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kScale = 1;
#else
constexpr int kScale = 4;
#endif
#if defined(__SANITIZE_THREAD__)
constexpr bool kForkMayStartThreads = false;  // ThreadSanitizer refuses threads in the child of a threaded process
#else
constexpr bool kForkMayStartThreads = true;
#endif

namespace fastrnn {
namespace {

std::uint32_t draw(std::uint64_t key, std::uint64_t counter) { return philox(key, counter, 0).x[0]; }

// Each member writes its own plain element, all meet, each reads the others': a member that is let through early sees
// an old value (and ThreadSanitizer a race).  A vote is cast by random members in random rounds, and the expected
// answer is computed by everyone from the same random numbers.
template <class B>
void check_barrier(int members, int rounds, std::uint64_t seed) {
  B barrier(members);
  std::vector<int> written(static_cast<std::size_t>(members), -1);
  std::atomic<int> failures{0}, began{0};
  auto votes = [&](int round, int member) {
    const auto counter = static_cast<std::uint64_t>(round);
    return draw(seed, counter) % 4 == 0 &&
           draw(seed + 1, counter * 1024 + static_cast<std::uint64_t>(member)) % static_cast<unsigned>(members) == 0;
  };
  auto body = [&](int thread) {
    began.fetch_add(1);
    for (int round = 0; round < rounds; ++round) {
      if (draw(seed + 2, static_cast<std::uint64_t>(round * members + thread)) % 64 == 0) std::this_thread::yield();
      written[static_cast<std::size_t>(thread)] = round;
      const bool stop = barrier.wait(votes(round, thread));
      bool expected = false;
      for (int member = 0; member < members; ++member) {
        expected = expected || votes(round, member);
        if (written[static_cast<std::size_t>(member)] != round) failures.fetch_add(1);
      }
      if (stop != expected) failures.fetch_add(1);
      barrier.wait();  // nobody writes the next round while others read this one
    }
  };
  run_team(members, body);
  CHECK(began.load() == members);
  CHECK(failures.load() == 0);
}

// Waits for nobody.
class OpenBarrier {
 public:
  explicit OpenBarrier(int) {}
  bool wait(bool stop = false) { return stop; }
};

void test_barrier() {
  for (int members : {1, 2, 3, 4}) check_barrier<Barrier>(members, 5000 * kScale, 7);
  for (int members : {8, 16}) check_barrier<Barrier>(members, 100 * kScale, 9);  // many more than cores
}

// A stop vote ends a loop in which the members' next barrier comes at once: all must leave at the same round.
void test_stop_at_same_barrier() {
  for (int trial = 0; trial < 100 * kScale; ++trial) {
    const int members = 2 + trial % 3;
    Barrier barrier(members);
    std::vector<int> left(static_cast<std::size_t>(members), -1);
    auto body = [&](int thread) {
      const int at = static_cast<int>(draw(11, static_cast<std::uint64_t>(trial * 8 + thread)) % 50);
      int round = 0;
      while (!barrier.wait(round == at)) ++round;
      left[static_cast<std::size_t>(thread)] = round;
    };
    run_team(members, body);
    int first = 50;
    for (int thread = 0; thread < members; ++thread) {
      first = std::min(first, static_cast<int>(draw(11, static_cast<std::uint64_t>(trial * 8 + thread)) % 50));
    }
    for (int round : left) CHECK(round == first);
  }
}

// Members that come late: the others are past their spin and asleep.
void test_sleepers_wake() {
  Barrier barrier(3);
  auto body = [&](int thread) {
    for (int round = 0; round < 20; ++round) {
      if (thread == round % 3) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      CHECK(!barrier.wait());
    }
  };
  run_team(3, body);
}

void test_count_of_waits() {
  const long long before = Barrier::waits();
  {
    Barrier one, pair(2);
    CHECK(!one.wait() && one.wait(true));
    auto body = [&](int) {
      for (int i = 0; i < 10; ++i) pair.wait();
    };
    run_team(2, body);
  }
  CHECK(Barrier::waits() == before + 10);
}

void test_two_teams_at_once() {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([caller] {
      for (int i = 0; i < 20; ++i) {
        check_barrier<Barrier>(2 + (caller + i) % 3, 20 * kScale, static_cast<std::uint64_t>(caller));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

void test_nested_team() {
  std::atomic<int> runs{0};
  auto inner = [&](int) { runs.fetch_add(1); };
  Barrier all(2);
  auto outer = [&](int) {
    all.wait();
    Barrier both(2);
    auto meet = [&](int thread) {
      both.wait();
      inner(thread);
    };
    run_team(2, meet);
  };
  run_team(2, outer);
  CHECK(runs.load() == 4);
}

#if defined(__x86_64__)
void test_denormals() {
  volatile float tiny = FLT_MIN;
  const auto half_of_tiny_is_kept = [&] { return tiny * 0.5f != 0.0f; };
  CHECK(half_of_tiny_is_kept());
  for (int members : {1, 3}) {
    std::atomic<int> kept{0};
    auto body = [&](int) { kept.fetch_add(half_of_tiny_is_kept() ? 1 : 0); };
    run_team(members, body);
    CHECK(kept.load() == 0);
    CHECK(half_of_tiny_is_kept());
  }
}
#endif

void test_thread_count() {
  const int before = num_threads();
  CHECK(before >= 1 && before <= available_cpus() && usable_threads() <= before);
  set_num_threads(before + 5);  // more than cores is allowed
  CHECK(num_threads() == before + 5);
#if defined(_OPENMP)
  if (omp_get_thread_limit() > before + 5) {
    CHECK(usable_threads() == before + 5);
    const int own = omp_get_max_threads();
    omp_set_num_threads(1);  // what threadpoolctl does: for this thread alone
    CHECK(own == 1 || usable_threads() == 1);
    int elsewhere = 0;
    std::thread([&] { elsewhere = usable_threads(); }).join();
    CHECK(elsewhere == before + 5);
    omp_set_num_threads(own);
  }
  int nested = 0;
#pragma omp parallel num_threads(2)
  if (omp_get_thread_num() == 0 && omp_get_num_threads() == 2) nested = usable_threads();
  CHECK(nested <= 1);
#else
  CHECK(usable_threads() == before + 5);
#endif
  set_num_threads(before);
}

// The parent has had teams, so its threads are missing in the child.
void test_fork() {
  set_num_threads(2);
  check_barrier<Barrier>(2, 10, 1);
  Block kept = acquire(1 << 20, "kept");
  std::atomic<bool> end{false};
  std::thread busy([&] {
    while (!end.load()) acquire(5000, "busy");  // may hold the pool's lock when the fork comes
  });
  for (int trial = 0; trial < 10; ++trial) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      alarm(20);
      CHECK(num_threads() == 1 && usable_threads() == 1);
      check_barrier<Barrier>(1, 10, 1);
      acquire(1 << 20, "child");
      if (kForkMayStartThreads) {
        set_num_threads(3);
        for (int i = 0; i < 3; ++i) check_barrier<Barrier>(usable_threads(), 10, 1);
      }
      _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  end.store(true);
  busy.join();
  check_barrier<Barrier>(2, 10, 1);  // and the parent goes on
}

void run_all() {
  test_thread_count();
  test_barrier();
  test_stop_at_same_barrier();
  test_sleepers_wake();
  test_count_of_waits();
  test_two_teams_at_once();
  test_nested_team();
#if defined(__x86_64__)
  test_denormals();
#endif
  test_fork();
}

}  // namespace
}  // namespace fastrnn

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "sabotage") {
    fastrnn::check_barrier<fastrnn::OpenBarrier>(2, 5000, 7);
  } else if (what == "team") {
    fastrnn::set_num_threads(4);
#if defined(_OPENMP)
    CHECK(omp_get_thread_limit() != 1 || fastrnn::usable_threads() == 1);
#endif
    for (int i = 0; i < 20; ++i) fastrnn::check_barrier<fastrnn::Barrier>(4, 20, 3);
  } else {
    fastrnn::run_all();
  }
  std::puts("ok");
  return 0;
}
