// What this machine offers to this process: instruction sets, processors, cache, memory.
#pragma once

#include <cstddef>

namespace fastrnn {

// Whether code compiled for a row of cmake/isa.cmake runs here (processor and operating system).  False for a name
// that is not in the table.
bool cpu_supports(const char* isa_name) noexcept;

// Bytes of the level-2 cache of one core; 1 MiB when the system does not tell.
std::size_t l2_bytes() noexcept;

// Bytes of the operand of the fused multiply-adds that one core begins in a cycle: two vectors, but one of 64 bytes on
// Zen 4, whose units have 32.
int fma_bytes(int vector_bytes) noexcept;

// Whether multiplications go on while their operands come from the third-level cache: on Zen they do, on Sapphire
// Rapids fetching adds to the time (docs/decisions/0002).  False for a processor that was not measured.
bool hides_far_fetches() noexcept;

// Bytes of memory: physical, cut by the limits of the control group.
std::size_t memory_bytes() noexcept;

// Processors in the affinity mask of the process, cut by the control group's quota.  At least 1.
int available_cpus() noexcept;

// Processors that the control group's quota pays for, rounded up: quota 150000 of period 100000 gives 2.  0: no quota.
// `root` is put before /proc and /sys; a test points it at a copy.
int quota_cpus(const char* root = "");

}  // namespace fastrnn
