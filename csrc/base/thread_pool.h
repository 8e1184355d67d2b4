// A team of std::threads that are kept, asleep, between calls.
#pragma once

namespace fastrnn {

using TeamBody = void (*)(void* context, int thread) noexcept;

// run_team without OpenMP and without touching the control word of the caller or of the members.
void run_pool_team(int count, TeamBody body, void* context);

// For the child of a fork(): the kept threads exist in the parent only.
void forget_pool_threads() noexcept;

}  // namespace fastrnn
