// What the tests of kernels share: one instruction set's table, arrays of exactly the size that their declaration
// promises, random numbers, and results to compare.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "check.h"
#include "dispatch.h"

#define FASTRNN_X(name) \
  namespace name {      \
  void fill(Kernels&);  \
  }
namespace fastrnn {
FASTRNN_ISA_LIST
#undef FASTRNN_X

namespace testing {

inline const Kernels& all_kernels() {
  static Kernels kernels;
  static const bool filled = (FASTRNN_TEST_ISA::fill(kernels), true);
  (void)filled;
  return kernels;
}
template <class T>
inline const KernelsOf<T>& table() {
  return all_kernels().of<T>();
}

// What multiplies pairs of bfloat16, for Plan::pairs; or nothing.
template <class T>
inline const void* pairs_of(bool paired) {
  return paired && std::is_same_v<T, float> ? all_kernels().emulated_pairs : nullptr;
}

// Exactly n elements, 64-byte aligned: one element further is a red zone.
template <class T>
class Array {
 public:
  explicit Array(ptrdiff_t n, T value = std::numeric_limits<T>::quiet_NaN()) : n_(static_cast<std::size_t>(n)) {
    p_ = static_cast<T*>(::operator new(n_ * sizeof(T), std::align_val_t{64}));
    for (std::size_t i = 0; i < n_; ++i) p_[i] = value;
  }
  Array(Array&& other) noexcept : p_(std::exchange(other.p_, nullptr)), n_(other.n_) {}
  ~Array() { ::operator delete(p_, std::align_val_t{64}); }
  operator T*() { return p_; }
  operator const T*() const { return p_; }
  std::size_t size() const { return n_; }
  const T* begin() const { return p_; }
  const T* end() const { return p_ + n_; }

 private:
  T* p_;
  std::size_t n_;
};

template <class T>
Array<T> draw(ptrdiff_t n, std::uint64_t key) {
  Array<T> a(n);
  for (ptrdiff_t i = 0; i < n; ++i)
    a[i] = static_cast<T>(static_cast<double>(philox(key, static_cast<std::uint64_t>(i), 0).x[0]) * 0x1p-31 - 1);
  return a;
}
inline Array<std::int32_t> draw_tokens(ptrdiff_t n, ptrdiff_t limit, std::uint64_t key) {
  Array<std::int32_t> a(n, 0);
  for (ptrdiff_t i = 0; i < n; ++i)
    a[i] = static_cast<std::int32_t>(philox(key, static_cast<std::uint64_t>(i), 1).x[0] %
                                     static_cast<std::uint32_t>(limit));
  return a;
}

// What a call gave, to be compared with the same call shared in another way.
template <class T>
struct Results {
  std::vector<T> all;
  void add(const Array<T>& a) {
    for (T x : a) CHECK(std::isfinite(x));
    all.insert(all.end(), a.begin(), a.end());
  }
  void check(const Results& other) const {
    CHECK(all.size() == other.all.size());
    CHECK(all.empty() || std::memcmp(all.data(), other.all.data(), all.size() * sizeof(T)) == 0);
  }
};

}  // namespace testing
}  // namespace fastrnn
