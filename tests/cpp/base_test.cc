// Memory pool, random numbers and machine of csrc/base, without Python, for the sanitizers.
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/cpu.h"
#include "base/rng.h"
#include "base/threads.h"
#include "base/workspace.h"
#include "check.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" int __asan_address_is_poisoned(const volatile void*);
#endif

namespace fastrnn {
namespace {

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

// Scratch of calls that follow each other is one block, which grows to the largest.
void test_scratch_is_shared() {
  clear_pool();
  const std::size_t before = pool_info().system_allocations;
  acquire_scratch(1 << 20);
  const void* grown = acquire_scratch(3 << 20).data();
  CHECK(pool_info().cached == 3 << 20);
  for (std::size_t bytes : {1u << 20, 3u << 20, 5000u}) CHECK(acquire_scratch(bytes).data() == grown);
  CHECK(pool_info().system_allocations == before + 2);
  {
    const Block first = acquire_scratch(5000), second = acquire_scratch(5000), kept = acquire(3 << 20, "kept");
    CHECK(first.data() == grown && second.data() != grown && kept.data() != grown);
  }
  clear_pool();
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
    for (std::uint64_t i = 0; i < 1000; ++i) {
      const std::uint32_t random = philox(static_cast<std::uint64_t>(thread), i, 0).x[0];
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

}  // namespace
}  // namespace fastrnn

int main() {
  fastrnn::test_cpu();
  fastrnn::test_quota();
  fastrnn::test_philox();
  fastrnn::test_pool();
  fastrnn::test_scratch_is_shared();
  fastrnn::test_pool_refuses();
  fastrnn::test_pool_from_many_threads();
#if defined(__SANITIZE_ADDRESS__)
  fastrnn::test_pool_is_guarded();
#endif
  std::puts("ok");
  return 0;
}
