// Threads, barrier, memory pool and machine of csrc/base, without Python, for the sanitizers.
//   base_test             everything
//   base_test team        a team of 4 must be whole, whatever OMP_THREAD_LIMIT and OMP_DYNAMIC say
//   base_test sabotage    the barrier check on a barrier that lets members through: must fail
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cfloat>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
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

void test_pool() {
  clear_pool();
  const PoolInfo start = pool_info();
  CHECK(start.cached == 0 && start.in_use == 0 && start.cap > 0);
  const std::size_t sizes[] = {0, 1, 4096, 4097, 100'000, 262'144, 262'145, 3'000'000, 20'000'001};
  for (int pass = 0; pass < 2; ++pass) {
    std::vector<Block> blocks;
    for (std::size_t bytes : sizes) {
      blocks.push_back(acquire(bytes, "test"));
      CHECK(reinterpret_cast<std::uintptr_t>(blocks.back().data()) % 64 == 0);
      std::memset(blocks.back().data(), pass, bytes);
    }
    const PoolInfo info = pool_info();
    CHECK(info.in_use >= 23'631'000 && info.in_use < 23'631'000 * 5 / 4 + 20'000);
    CHECK(info.system_allocations == start.system_allocations + std::size(sizes));  // the second pass reuses all
  }
  CHECK(pool_info().in_use == 0 && pool_info().cached > 0);

  Block a = acquire(5000, "a"), b = std::move(a);
  CHECK(a.data() == nullptr && b.data() != nullptr);
  const void* const kept = b.data();
  b = Block();
  CHECK(acquire(5000, "again").data() == kept);

  // Over the cap the block that has been idle longest goes, not the one that is in use by the running loop.
  clear_pool();
  set_pool_cap(10 << 20);
  {
    const Block old = acquire(8 << 20, "old shape");
  }
  {
    const Block now = acquire(6 << 20, "new shape");
  }
  const std::size_t before = pool_info().system_allocations;
  for (int i = 0; i < 5; ++i) acquire(6 << 20, "new shape");
  CHECK(pool_info().system_allocations == before && pool_info().cached == 6 << 20);
  {
    const Block big = acquire(12 << 20, "over the cap");
  }
  CHECK(pool_info().cached == 0);
  set_pool_cap(start.cap);
}

void test_pool_refuses() {
  for (std::size_t bytes : {std::size_t{1} << 61, ~std::size_t{0}, (std::size_t{1} << 62) + 1}) {
    std::string message;
    try {
      acquire(bytes, "saved");
    } catch (const std::bad_alloc& error) {
      message = error.what();
    }
    CHECK(message.find("cannot allocate ") == 0);
    CHECK(message.find("EiB (" + std::to_string(bytes) + " bytes) for saved") != std::string::npos);
  }
}

// Blocks taken in one thread come back from another; each holds its owner's mark until then.
void test_pool_from_many_threads() {
  Block shared[8];
  std::mutex mutex;
  auto body = [&](int thread) {
    for (std::uint64_t i = 0; i < 500u * kScale; ++i) {
      const std::uint32_t random = draw(static_cast<std::uint64_t>(thread), i);
      const std::size_t bytes = std::size_t{1} << (10 + random % 10);
      Block block = acquire(bytes, "mark");
      std::memset(block.data(), thread, bytes);
      for (std::size_t at : {std::size_t{0}, bytes / 2, bytes - 1}) CHECK(block.as<unsigned char>()[at] == thread);
      const std::lock_guard lock(mutex);
      shared[random >> 29] = std::move(block);
    }
  };
  run_team(4, body);
  for (Block& block : shared) block = Block();
  CHECK(pool_info().in_use == 0);
}

#if defined(__SANITIZE_ADDRESS__)
extern "C" int __asan_address_is_poisoned(const volatile void*);
void test_pool_is_guarded() {
  const char* data = nullptr;
  {
    const Block block = acquire(5000, "guarded");
    data = block.as<char>();
    CHECK(!__asan_address_is_poisoned(data + 4999) && __asan_address_is_poisoned(data + 5000));
  }
  CHECK(__asan_address_is_poisoned(data + 4999));
}
#endif

void test_cpu() {
  CHECK(!cpu_supports("") && !cpu_supports("mips"));
#if defined(__x86_64__)
  CHECK(!cpu_supports("neon") && cpu_supports("sse4"));  // the oldest row of the table
  CHECK(!cpu_supports("avx512") || cpu_supports("avx2"));
#endif
  CHECK(l2_bytes() >= 64 << 10 && l2_bytes() <= std::size_t{1} << 30);
  CHECK(memory_bytes() >= std::size_t{64} << 20);
}

void test_quota() {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("fastrnn-base-test-" + std::to_string(getpid()));
  const auto write = [&](const char* path, const char* text) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  };
  CHECK(quota_cpus(root.c_str()) == 0);  // nothing there
  write("proc/self/cgroup", "0::/a/b\n");
  write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  CHECK(quota_cpus(root.c_str()) == 0);
  write("sys/fs/cgroup/a/b/cpu.max", "350000 100000\n");
  CHECK(quota_cpus(root.c_str()) == 4);
  write("sys/fs/cgroup/a/cpu.max", "150000 100000\n");  // an outer group may be tighter
  CHECK(quota_cpus(root.c_str()) == 2);
  fs::remove_all(root);
  write("proc/self/cgroup", "12:memory:/x\n4:cpu,cpuacct:/docker/unseen\n1:name=systemd:/x\n0::/\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(quota_cpus(root.c_str()) == 1);
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  CHECK(quota_cpus(root.c_str()) == 0);
  write("proc/self/cgroup", "not\na:file\n::\n0::\n:::/x\n0::x\n");
  CHECK(quota_cpus(root.c_str()) == 0);
  fs::remove_all(root);
}

// The known answers of Random123's kat_vectors for philox4x32-10.
void test_philox() {
  const Philox zero = philox(0, 0, 0);
  CHECK(zero.x[0] == 0x6627e8d5u && zero.x[1] == 0xe169c58du && zero.x[2] == 0xbc57ac4cu && zero.x[3] == 0x9b00dbd8u);
  const Philox ones = philox(~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0});
  CHECK(ones.x[0] == 0x408f276du && ones.x[1] == 0x41c83b0eu && ones.x[2] == 0xa20bc7c6u && ones.x[3] == 0x6d5451fdu);
}

void run_all() {
  test_cpu();
  test_quota();
  test_philox();
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
  test_pool();
  test_pool_refuses();
  test_pool_from_many_threads();
#if defined(__SANITIZE_ADDRESS__)
  test_pool_is_guarded();
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
