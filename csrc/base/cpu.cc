#include "base/cpu.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace fastrnn {

#if defined(FASTRNN_EMULATE_AMX)
bool emulate_amx() noexcept;  // tests/cpp/amx_emulator.cc
#endif

namespace {

#if defined(__x86_64__)
// Parts of x86-64-v3 whose names not every supported compiler takes in __builtin_cpu_supports.
bool has_lzcnt_movbe_f16c() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kMovbe = 1u << 22, kF16c = 1u << 29, kLzcnt = 1u << 5;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & kMovbe) == 0 || (c & kF16c) == 0) return false;
  return __get_cpuid(0x80000001u, &a, &b, &c, &d) && (c & kLzcnt) != 0;
}

// Tiles of bfloat16.  The system keeps their registers for a process that has asked for them.
bool has_amx() noexcept {
#if defined(FASTRNN_EMULATE_AMX)
  return emulate_amx();
#elif defined(__linux__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBfloat16 = 1u << 22, kTile = 1u << 24, kBoth = kBfloat16 | kTile;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & kBoth) != kBoth) return false;
  constexpr long kAskFor = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, since Linux 5.16
  return syscall(SYS_arch_prctl, kAskFor, kTileData) == 0;
#else
  return false;
#endif
}
#endif

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

// The folders that hold a controller's limits for this process, innermost first.  A container may see the host's path
// in /proc but only its own group at the mount point, so the walk ends there whether or not the path exists.
std::vector<std::string> control_groups(const std::string& root, std::string_view controller) {
  std::vector<std::string> folders;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "3:cpu,cpuacct:/a/b" (version 1) or "0::/a/b" (version 2)
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = ',' + line.substr(first + 1, second - first - 1) + ',';
    std::string mount = root + "/sys/fs/cgroup";
    if (names != ",,") {
      if (names.find(',' + std::string(controller) + ',') == std::string::npos) continue;
      mount += '/' + std::string(controller);
    }
    for (std::string path = line.substr(second + 1); path.size() > 1; path.resize(path.rfind('/'))) {
      folders.push_back(mount + path);
      if (path.find('/') == std::string::npos) break;
    }
    folders.push_back(mount);
  }
  return folders;
}

// "max" and what is not a number give 0.
double number(const std::string& text) noexcept { return std::strtod(text.c_str(), nullptr); }

double quota(const std::string& folder) {
  const std::string both = first_line(folder + "/cpu.max");  // version 2: "150000 100000" or "max 100000"
  const std::size_t space = both.find(' ');
  const bool v2 = space != std::string::npos;
  const double micros = number(v2 ? both.substr(0, space) : first_line(folder + "/cpu.cfs_quota_us"));
  const double period = number(v2 ? both.substr(space) : first_line(folder + "/cpu.cfs_period_us"));
  return micros > 0 && period > 0 ? micros / period : 0;
}

std::size_t find_l2_bytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  if (const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0) return static_cast<std::size_t>(bytes);
#endif
  for (int index = 0; index < 8; ++index) {  // glibc does not know it on every aarch64, musl nowhere
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    if (first_line(folder + "/level") != "2" || first_line(folder + "/type") == "Instruction") continue;
    const std::string size = first_line(folder + "/size");  // "1024K"
    const double unit = size.find('M') != std::string::npos ? 1048576.0 : 1024.0;
    if (number(size) > 0) return static_cast<std::size_t>(number(size) * unit);
  }
  return std::size_t{1} << 20;
}

std::size_t find_memory_bytes() {
  double bytes = 0x1p32;
#if defined(_SC_PHYS_PAGES)
  bytes = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
#endif
  for (const std::string& folder : control_groups("", "memory")) {
    for (const char* file : {"/memory.max", "/memory.limit_in_bytes"}) {
      if (const double limit = number(first_line(folder + file)); limit > 0) bytes = std::min(bytes, limit);
    }
  }
  return static_cast<std::size_t>(bytes);
}

int affinity_cpus() {
#if defined(__linux__)
  for (int most = 1024; most <= 1 << 20; most *= 2) {  // EINVAL: the kernel's mask is longer
    cpu_set_t* mask = CPU_ALLOC(most);
    if (mask == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(most);
    const int count = sched_getaffinity(0, bytes, mask) == 0 ? CPU_COUNT_S(bytes, mask) : 0;
    CPU_FREE(mask);
    if (count > 0) return count;
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

bool zen5() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_is("amd") && __builtin_cpu_supports("avx512vp2intersect");  // and no other of AMD's
#else
  return false;
#endif
}

}  // namespace

bool cpu_supports(const char* isa_name) noexcept {
  const std::string_view name = isa_name;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse3") && __builtin_cpu_supports("ssse3") &&
                  __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("sse4.2") &&
                  __builtin_cpu_supports("popcnt");
  if (name == "sse4") return v2;
  const bool v3 = v2 && __builtin_cpu_supports("avx") && __builtin_cpu_supports("avx2") &&
                  __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  has_lzcnt_movbe_f16c();
  if (name == "avx2") return v3;
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (name == "avx512") return v4;
  if (name == "avx512_bf16") return v4 && __builtin_cpu_supports("avx512bf16");
  if (name == "avx512_amx") {
    static const bool amx = v4 && has_amx();
    return amx;
  }
  return false;
#elif defined(__aarch64__)
  return name == "neon";
#else
  return false;
#endif
}

std::size_t l2_bytes() noexcept {
  static const std::size_t bytes = find_l2_bytes();
  return bytes;
}

int fma_bytes(int vector_bytes) noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (vector_bytes == 64 && __builtin_cpu_is("amd")) return zen5() ? 128 : 64;
#endif
  return 2 * vector_bytes;
}

bool hides_far_fetches() noexcept { return zen5(); }

std::size_t memory_bytes() noexcept {
  static const std::size_t bytes = find_memory_bytes();
  return bytes;
}

int quota_cpus(const char* root) {
  double least = 0;
  for (const std::string& folder : control_groups(root, "cpu")) {
    if (const double cpus = quota(folder); cpus > 0) least = least > 0 ? std::min(least, cpus) : cpus;
  }
  return static_cast<int>(std::ceil(std::min(least, 1e6)));
}

int available_cpus() noexcept {
  static const int count = [] {
    const int affinity = affinity_cpus(), paid = quota_cpus();
    return paid > 0 ? std::min(affinity, paid) : affinity;
  }();
  return count;
}

}  // namespace fastrnn
