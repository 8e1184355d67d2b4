// GloVe under the sanitizers: no access out of bounds, counts that do not depend on threads, a loss that falls.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/glove.h"
#include "check.h"
#include "dispatch.h"

namespace fastrnn {
namespace FASTRNN_TEST_ISA {
void fill_glove(Kernels&);
}
namespace {

constexpr std::int32_t kWords = 61;
constexpr ptrdiff_t kTokens = 3000, kStride = 32;

std::vector<Cooccurrence> count(std::int32_t first, std::int32_t last, int window, int threads) {
  std::vector<std::int32_t> ids(kTokens), words(kWords + 2);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * i * 7 % 41 * i % (kWords + 2));
  for (std::int32_t i = 0; i < kWords + 2; ++i) words[static_cast<std::size_t>(i)] = i < kWords ? i : -1;
  const std::vector<std::int64_t> offsets{0, 0, 3, 3, 700, kTokens - 1, kTokens};
  return cooccurrences({ids.data(), words.data(), offsets.data(), static_cast<ptrdiff_t>(offsets.size()) - 1, first,
                        last, kWords, window, threads});
}

bool same(const std::vector<Cooccurrence>& a, const std::vector<Cooccurrence>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0;
}

void test_counts() {
  for (const int window : {1, 5, 5000}) {
    const std::vector<Cooccurrence> whole = count(0, kWords, window, 1);
    CHECK(!whole.empty());
    for (const int threads : {2, 5}) CHECK(same(count(0, kWords, window, threads), whole));
    std::vector<Cooccurrence> parts = count(0, 20, window, 2);
    for (const Cooccurrence& entry : count(20, kWords, window, 1)) parts.push_back(entry);
    CHECK(same(parts, whole));
  }
}

struct Rows {
  float* p;
  explicit Rows(float value) : p(static_cast<float*>(std::aligned_alloc(64, kWords * kStride * sizeof(float)))) {
    for (ptrdiff_t i = 0; i < kWords * kStride; ++i) p[i] = value;
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows() { std::free(p); }
};

// One thread: more would be meant to race.
void test_training() {
  static Kernels table;
  FASTRNN_TEST_ISA::fill_glove(table);
  const std::vector<Cooccurrence> entries = count(0, kWords, 5, 1);
  const Rows words(0), contexts(0), word_squares(1), context_squares(1);
  for (ptrdiff_t i = 0; i < kWords; ++i)
    for (ptrdiff_t k = 0; k < 20; ++k) {
      words.p[i * kStride + k] = std::sin(static_cast<float>(i * 20 + k)) / 8;
      contexts.p[i * kStride + k] = std::cos(static_cast<float>(i * 30 + k)) / 8;
    }
  std::vector<float> word_biases(2 * kWords, 1), context_biases(2 * kWords, 1);
  Glove a{};
  a.tables = {words.p, contexts.p, word_squares.p, context_squares.p, word_biases.data(), context_biases.data(),
              kStride};
  a.entries = entries.data();
  a.count = a.end = static_cast<ptrdiff_t>(entries.size());
  a.start = a.count - 1;
  a.step = 1;
  a.rate = 0.05f;
  a.most = 10;
  a.power = 0.75f;
  a.threads = 1;
  double first = 0, last = 0;
  for (int epoch = 0; epoch < 10; ++epoch) {
    std::vector<double> losses(static_cast<std::size_t>((a.count + kGloveSlice - 1) / kGloveSlice));
    a.losses = losses.data();
    table.glove(a);
    last = 0;
    for (const double loss : losses) last += loss;
    if (epoch == 0) first = last;
  }
  CHECK(std::isfinite(last) && last < first / 2);
}

}  // namespace
}  // namespace fastrnn

int main() {
  fastrnn::test_counts();
  fastrnn::test_training();
  std::puts("ok");
  return 0;
}
