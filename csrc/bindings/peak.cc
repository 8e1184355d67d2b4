// The measured peak of fma.
#include <algorithm>
#include <chrono>

#include "bindings/ops.h"

namespace fastrnn::bindings {
namespace {

// GFLOP/s of a team that does nothing but fma in registers: the best of several short runs, for other processes
// disturb each of them.
double fma_peak(const std::string& dtype, int threads) {
  const bool pairs = dtype == "bfloat16";
  if (dtype != "float32" && dtype != "float64" && !pairs)
    fail_value("dtype", "float32, float64 or bfloat16", "'" + dtype + "'");
  if (threads < 1 || threads > 1024) fail_value("threads", "an integer in [1, 1024]", std::to_string(threads));
  const auto work = pairs                ? kernels().pair_flops
                    : dtype == "float32" ? kernels().f32.ops.fma_flops
                                         : kernels().f64.ops.fma_flops;
  if (work == nullptr) return 0;
  using Clock = std::chrono::steady_clock;
  const py::gil_scoped_release release;
  double best = 0;
  constexpr ptrdiff_t kRounds = 1 << 18;  // about a millisecond: short enough to find a quiet one
  const auto stop = Clock::now() + std::chrono::milliseconds(50);
  for (int run = 0; run < 8 || Clock::now() < stop; ++run) {
    Barrier barrier(threads);
    double flops = 0, seconds = 1;
    auto body = [&](int thread) noexcept {
      barrier.wait();
      const auto start = Clock::now();
      const double done = work(kRounds);
      barrier.wait();
      if (thread != 0) return;
      seconds = std::chrono::duration<double>(Clock::now() - start).count();
      flops = done * threads;
    };
    run_team(threads, body);
    best = std::max(best, flops / seconds);
  }
  return best * 1e-9;
}

}  // namespace

void bind_peak(py::module_& m) { m.def("fma_peak", &fma_peak, py::arg("dtype"), py::arg("threads")); }

}  // namespace fastrnn::bindings
