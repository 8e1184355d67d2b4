// The error of exp, sigmoid and tanh of kernels/math.h: every float32, and 60 million float64, on two threads.
//
//   cmake -S . -B build-sweep -DFASTRNN_PYTHON=OFF -DFASTRNN_CPP_TESTS=ON &&
//   cmake --build build-sweep --target math_sweep
//   ./math_sweep          prints the worst of each function; exit code 1 when a bound or a rule is broken
//   ./math_sweep --time   prints nanoseconds per 16 elements instead
//   ./math_sweep --hash   prints a digest of all float32 results: equal for all instruction sets with fma
#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "kernels/math.h"

namespace k = fastrnn::FASTRNN_ISA;

// Bounds in ulp of the exact result: two are the promise.  Measured: exp 1.01, sigmoid 1.96, tanh 1.75 (float64 by
// samples: 0.91, 1.90, 1.85).  Without fma a product rounds by itself, once more per step: exp 1.19, sigmoid 2.16,
// tanh 1.87, so three.
#if defined(__FMA__) || defined(__aarch64__)
constexpr double kBound = 2.0;
#else
constexpr double kBound = 3.0;
#endif
constexpr double kTiny = 0x1p-30;  // below it two terms of the series are exact even for a long double
constexpr double kHuge = 800;      // above it all three are at their limits
constexpr int kThreads = 2;
constexpr int kBlock = 1 << 10;                 // elements per call: in and out stay in L1
constexpr std::uint64_t kSamples = 20'000'000;  // float64 values per function

template <class T>
struct Bits;
template <>
struct Bits<float> {
  using Int = std::uint32_t;
  using Wide = double;  // the reference: 29 bits more
  static constexpr int kMantissa = 23;
};
template <>
struct Bits<double> {
  using Int = std::uint64_t;
  using Wide = long double;  // 11 bits more on x86, whose expl and tanhl err by about one unit of them
  static constexpr int kMantissa = 52;
};
struct Exp {
  static constexpr const char* kName = "exp";
  static auto vector(auto x) { return k::exp(x); }
  static auto exact(auto x) {
    using W = decltype(x);
    if (std::abs(x) < kTiny) return 1 + x + x * x / 2;
    if (std::abs(x) > kHuge) return x > 0 ? W(HUGE_VAL) : W(0);
    return std::exp(x);
  }
  static bool rule(auto x, auto y) {
    return y >= 0 && (x != 0 || y == 1) && (x < 800 || std::isinf(y)) && (x > -800 || y == 0);
  }
};
struct Sigmoid {
  static constexpr const char* kName = "sigmoid";
  static auto vector(auto x) { return k::sigmoid(x); }
  static auto exact(auto x) {
    using W = decltype(x);
    if (std::abs(x) < kTiny) return W(0.5) + x / 4;
    if (std::abs(x) > kHuge) return x > 0 ? W(1) : W(0);
    return 1 / (1 + std::exp(-x));
  }
  static bool rule(auto x, auto y) {
    return y >= 0 && y <= 1 && (x != 0 || y == 0.5f) && (x < 40 || y == 1) && (x > -800 || y == 0);
  }
};
struct Tanh {
  static constexpr const char* kName = "tanh";
  static auto vector(auto x) { return k::tanh(x); }
  static auto exact(auto x) {
    using W = decltype(x);
    if (std::abs(x) < kTiny) return x - x * x * x / 3;
    if (std::abs(x) > kHuge) return std::copysign(W(1), x);
    return std::tanh(x);
  }
  static bool rule(auto x, auto y) {
    return std::abs(y) <= 1 && std::signbit(x) == std::signbit(y) && (std::abs(x) < 20 || std::abs(y) == 1);
  }
};

// The kernels run with results and arguments below the smallest normal number taken as zero.
void flush_subnormals() {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined(__aarch64__)
  std::uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  __asm__ volatile("msr fpcr, %0" ::"r"(fpcr | (1u << 24)));
#endif
}

template <class F, class T>
void apply(const T* x, T* y, int n) {
  for (int i = 0; i < n; i += k::kLanes<T>) k::store(y + i, F::vector(k::load(x + i)));
}

template <class T>
struct Worst {
  double ulp = 0.5;  // of correct rounding, which is taken as read
  T at = 0;
  std::uint64_t broken = 0;  // rules
  T broken_at = 0;
  std::uint64_t decreasing = 0;  // neighbours in the wrong order: no rule, but nice to know
  std::uint64_t hash = 0;

  void merge(const Worst& o) {
    if (o.ulp > ulp) ulp = o.ulp, at = o.at;
    if (o.broken) broken += o.broken, broken_at = o.broken_at;
    decreasing += o.decreasing;
    hash += o.hash;
  }
};

// Error of y in units of the last place of the exact value.  A subnormal exact value may have been flushed.
template <class T>
double error_in_ulp(typename Bits<T>::Wide exact, T y) {
  using W = typename Bits<T>::Wide;
  constexpr W kSmallest = std::numeric_limits<T>::min();
  const W size = std::abs(exact);
  if (size < kSmallest) return std::abs(y) <= std::numeric_limits<T>::min() ? 0 : HUGE_VAL;
  if (size > W(std::numeric_limits<T>::max())) return std::abs(y) >= std::numeric_limits<T>::max() ? 0 : HUGE_VAL;
  if (std::isinf(y)) return HUGE_VAL;
  return static_cast<double>(std::ldexp(std::abs(W(y) - exact), Bits<T>::kMantissa - std::ilogb(size)));
}

template <class F, class T>
void check(T x, T y, Worst<T>& worst) {
  bool fine;
  if (std::isnan(x)) {
    fine = std::isnan(y);
  } else {
    fine = F::rule(x, y);
    const auto exact = F::exact(typename Bits<T>::Wide(x));
    if (y != static_cast<T>(exact)) {
      const double error = error_in_ulp<T>(exact, y);
      if (!(error <= worst.ulp)) worst.ulp = error, worst.at = x;
    }
  }
  if (!fine) ++worst.broken, worst.broken_at = x;
}

// Positive and negative arguments go side by side, so that the symmetry of tanh is seen too.
template <class F, class T>
void check_block(const T* x, Worst<T>& worst) {
  using Int = typename Bits<T>::Int;
  T minus[kBlock], y[kBlock], y_minus[kBlock];
  for (int i = 0; i < kBlock; ++i) minus[i] = -x[i];
  apply<F>(x, y, kBlock);
  apply<F>(minus, y_minus, kBlock);
  for (int i = 0; i < kBlock; ++i) {
    check<F>(x[i], y[i], worst);
    check<F>(minus[i], y_minus[i], worst);
    if (std::is_same_v<F, Tanh> && !std::isnan(x[i]) && std::bit_cast<Int>(y[i]) != std::bit_cast<Int>(-y_minus[i]))
      ++worst.broken, worst.broken_at = x[i];
    if (i && x[i] > x[i - 1]) worst.decreasing += (y[i] < y[i - 1]) + (y_minus[i] > y_minus[i - 1]);
  }
}

template <class T, class Work>
Worst<T> on_threads(Work work) {
  Worst<T> worst[kThreads];
  std::vector<std::thread> team;
  for (int t = 0; t < kThreads; ++t)
    team.emplace_back([&, t] {
      flush_subnormals();
      work(t, worst[t]);
    });
  for (auto& thread : team) thread.join();
  for (int t = 1; t < kThreads; ++t) worst[0].merge(worst[t]);
  return worst[0];
}

template <class T>
bool report(const char* name, const char* type, const Worst<T>& w) {
  const bool good = w.ulp <= kBound && w.broken == 0;
  std::printf("%-8s %-8s max %.4f ulp at %.17g (%a), %llu out of order", name, type, w.ulp, double(w.at), double(w.at),
              static_cast<unsigned long long>(w.decreasing));
  if (w.broken)
    std::printf(", %llu rules broken, one at %a", static_cast<unsigned long long>(w.broken), double(w.broken_at));
  std::printf(good ? "\n" : "   FAIL (bound %.1f)\n", kBound);
  std::fflush(stdout);
  return good;
}

template <class F>
bool sweep_float() {
  return report(F::kName, "float32", on_threads<float>([](int t, Worst<float>& worst) {
                  float x[kBlock];
                  for (std::uint32_t b = t * kBlock; b < 0x8000'0000u; b += kThreads * kBlock) {
                    for (int i = 0; i < kBlock; ++i) x[i] = std::bit_cast<float>(b + static_cast<std::uint32_t>(i));
                    check_block<F>(x, worst);
                  }
                }));
}

// splitmix64
std::uint64_t random_bits(std::uint64_t& state) {
  std::uint64_t z = state += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// In turn: any bits; near 0; the range of tanh; the range of exp; just beside a border of the reduction to n.
double sample(std::uint64_t i, std::uint64_t& state) {
  const std::uint64_t r = random_bits(state);
  const double unit = static_cast<double>(r >> 11) * 0x1p-53;
  switch (i % 8) {
    case 0:
      return std::abs(std::bit_cast<double>(r));
    case 1:
      return std::ldexp(1 + unit, -static_cast<int>(random_bits(state) % 64));
    case 2:
    case 3:
      return unit;
    case 4:
      return unit * 21;
    case 5:
      return unit * 750;
    case 6:
      return (static_cast<double>(r % 2100) + 0.5) * 0.34657359027997264 * (1 + (unit - 0.5) * 0x1p-30);
    default:
      return (static_cast<double>(r % 64) + 0.5) * 0.34657359027997264 * (1 + (unit - 0.5) * 0x1p-20);
  }
}

template <class F>
bool sweep_double() {
  return report(F::kName, "float64", on_threads<double>([](int t, Worst<double>& worst) {
                  std::uint64_t state = static_cast<std::uint64_t>(t);
                  double x[kBlock];
                  for (std::uint64_t s = 0; s < kSamples / kThreads; s += 2 * kBlock) {
                    for (int i = 0; i < kBlock; ++i) x[i] = sample(static_cast<std::uint64_t>(i), state);
                    check_block<F>(x, worst);
                  }
                }));
}

template <class F>
void print_hash() {
  const auto w = on_threads<float>([](int t, Worst<float>& worst) {
    float x[kBlock], y[kBlock];
    for (std::uint64_t b = static_cast<std::uint64_t>(t) * kBlock; b >> 32 == 0; b += kThreads * kBlock) {
      for (int i = 0; i < kBlock; ++i)
        x[i] = std::bit_cast<float>(static_cast<std::uint32_t>(b) + static_cast<std::uint32_t>(i));
      apply<F>(x, y, kBlock);
      for (int i = 0; i < kBlock; ++i) {
        std::uint64_t state =
            b + static_cast<std::uint64_t>(i) + (std::uint64_t(std::bit_cast<std::uint32_t>(y[i])) << 32);
        if (!std::isnan(y[i])) worst.hash += random_bits(state);
      }
    }
  });
  std::printf("%-8s %016llx\n", F::kName, static_cast<unsigned long long>(w.hash));
}

// The best of many passes over an array in L1, in nanoseconds per 16 elements.
template <class F, class T>
void print_time(const char* type) {
  T x[kBlock], y[kBlock];
  std::uint64_t state = 1;
  for (T& v : x) v = static_cast<T>(static_cast<double>(random_bits(state) >> 11) * 0x1p-50 - 4);
  double best = HUGE_VAL;
  for (int pass = 0; pass < 40; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i) {
      apply<F>(x, y, kBlock);
      __asm__ volatile("" ::"r"(x), "r"(y) : "memory");
    }
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count() / 1000 / kBlock * 16);
  }
  std::printf("%-8s %-8s %.2f ns per 16\n", F::kName, type, best);
}

template <class... F>
int run(const char* mode) {
  if (!std::strcmp(mode, "--time")) {
    flush_subnormals();
    (print_time<F, float>("float32"), ...);
    (print_time<F, double>("float64"), ...);
    return 0;
  }
  if (!std::strcmp(mode, "--hash")) return (print_hash<F>(), ...), 0;
  const bool good = (int(sweep_float<F>()) & ...) & (int(sweep_double<F>()) & ...);
  return good ? 0 : 1;
}

int main(int argc, char** argv) { return run<Exp, Sigmoid, Tanh>(argc > 1 ? argv[1] : ""); }
