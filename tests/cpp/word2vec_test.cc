// word2vec and the reading of text under the sanitizers: no access out of bounds in any mode, no data race where none
// is meant, and the same bits for 1, 2 and 5 threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "base/vocabulary.h"
#include "base/word2vec.h"
#include "check.h"
#include "dispatch.h"

namespace fastrnn {
namespace FASTRNN_TEST_ISA {
void fill_word2vec(Kernels&);
}
namespace {

const Word2VecKernels& kernel() {
  static Kernels table;
  FASTRNN_TEST_ISA::fill_word2vec(table);
  return table.word2vec;
}

constexpr ptrdiff_t kWords = 1100, kMore = 7, kTokens = 1700, kStride = 32;

// Heap memory of exactly this size, so that a step beyond is seen.
struct Rows {
  std::size_t bytes;
  void* p;
  explicit Rows(std::size_t n) : bytes((n + 63) / 64 * 64), p(std::aligned_alloc(64, bytes)) {
    std::memset(p, 0, bytes);
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows() { std::free(p); }
  float* floats() const { return static_cast<float*>(p); }
};

std::vector<float> run(int mode, int window, int negatives, bool deterministic, int threads) {
  std::vector<std::int32_t> ids(kTokens);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * i * 7 % 41 * i % (kWords + 2));
  std::vector<Type> types;
  for (std::int32_t i = 0; i < kWords + 2; ++i) types.push_back({i < kWords ? i : -1, i % 5 ? ~0u : 1u << 31});
  const std::vector<std::int64_t> offsets{0, 0, 3, 3, 700, kTokens - 1, kTokens};
  std::vector<double> weights(kWords);
  std::vector<std::int64_t> counts(kWords);
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = static_cast<double>(counts[i] = 1 + 3 * static_cast<int>(i));
  std::vector<Alias> alias(kWords);
  alias_table(weights.data(), kWords, alias.data());
  const HuffmanPaths paths = huffman_paths(counts.data(), kWords);
  // Means of up to 4 rows for each word, or up to 2 tags for each sentence, of `more`.
  std::vector<std::int64_t> bag_offsets{0}, tag_offsets{0};
  std::vector<std::int32_t> bag_rows, tag_rows;
  for (std::int32_t i = 0; i < kWords; ++i) {
    bag_rows.push_back(i);
    for (std::int32_t j = 0; j < i % 4; ++j) bag_rows.push_back(static_cast<std::int32_t>(kWords + (i * j) % kMore));
    bag_offsets.push_back(static_cast<std::int64_t>(bag_rows.size()));
  }
  for (std::int32_t i = 0; i + 1 < static_cast<std::int32_t>(offsets.size()); ++i) {
    for (std::int32_t j = 0; j < i % 3; ++j) tag_rows.push_back(static_cast<std::int32_t>(kWords + (i + j) % kMore));
    tag_offsets.push_back(static_cast<std::int64_t>(tag_rows.size()));
  }
  // Joined: vectors of 27 numbers, of a tag and the window, and so many in an output that all are in use.
  const bool joined = mode & 64;
  const ptrdiff_t wide = joined ? (27 * (1 + 2 * window) + 15) / 16 * 16 : kStride;
  const Rows input(kWords * kStride * 4), more(kMore * kStride * 4),
      output(static_cast<std::size_t>(kWords * wide * 4)), nodes(static_cast<std::size_t>((kWords - 1) * wide * 4));
  for (ptrdiff_t i = 0; i < kWords * kStride; ++i) input.floats()[i] = std::sin(static_cast<float>(i)) / 8;
  Word2Vec a{};
  a.tables = {input.floats(),
              more.floats(),
              negatives > 0 ? output.floats() : nullptr,
              mode & 1 ? nodes.floats() : nullptr,
              kStride,
              wide,
              kWords,
              {},
              {}};
  if (negatives == 0) a.tables.nodes = nodes.floats();
  a.corpus = {ids.data(), types.data(), offsets.data(), static_cast<ptrdiff_t>(offsets.size()) - 1, {}};
  a.words = {alias.data(), kWords, paths.offsets.data(), paths.nodes.data(), paths.labels.data(), 0, kWords - 1};
  for (std::size_t i = 0; i < kWords; ++i)
    a.words.longest_path =
        std::max(a.words.longest_path, static_cast<ptrdiff_t>(paths.offsets[i + 1] - paths.offsets[i]));
  a.end = kTokens;
  a.window = window;
  if (mode & 16) a.bags = {bag_offsets.data(), bag_rows.data(), 4};
  if (mode & 32) a.corpus.tags = {tag_offsets.data(), tag_rows.data(), 2};
  if (joined) a.joined = {27, 1, kWords - 1};
  a.windows = !(mode & 32) || mode & 4 || joined;
  a.fixed_outputs = (mode & 36) == 36;
  a.negatives = negatives;
  a.cbow = mode & 2;
  a.mean = mode & 4;
  a.shrink = mode & 4;
  a.shared = !(mode & 8);
  a.deterministic = deterministic;
  a.want_loss = true;
  a.key = 5;
  a.rate = 0.01;
  a.threads = threads;
  const Rows scratch(static_cast<std::size_t>(kernel().scratch(a)));
  std::vector<double> losses((kTokens + kSlice - 1) / kSlice);
  std::vector<std::int64_t> centres(losses.size());
  a.scratch = scratch.p;
  a.losses = losses.data();
  a.centres = centres.data();
  kernel().train(a);
  std::vector<float> result;
  for (const Rows* rows : {&input, &more, &output, &nodes})
    result.insert(result.end(), rows->floats(), rows->floats() + rows->bytes / 4);
  for (const float x : result) CHECK(std::isfinite(x));
  CHECK(std::accumulate(losses.begin(), losses.end(), 0.0) > 0);
  return result;
}

void test_training() {
  std::vector<int> modes(48);
  std::iota(modes.begin(), modes.end(), 0);
  for (const int joined : {98, 99, 106}) modes.push_back(joined);  // CBOW of tags; with nodes; classic
  for (const int mode : modes)
    for (const auto& [window, negatives] : std::vector<std::pair<int, int>>{{1, 13}, {5, 0}, {5, 1}, {5, 13}}) {
      run(mode, window, negatives, false, 1);
      const std::vector<float> one = run(mode, window, negatives, true, 1);
      const std::vector<float> more = run(mode, window, negatives, true, negatives == 1 ? 2 : 5);
      CHECK(std::memcmp(one.data(), more.data(), one.size() * sizeof(float)) == 0);
    }
}

void test_text() {
  const std::string text = "the cat\n\nthe \xC3\xA4 cat \xE3\x80\x80 sat";
  for (const int threads : {1, 2, 5, 40}) {
    TextEncoder encoder(threads, false);
    const std::size_t used = encoder.feed(text, false);
    CHECK(used < text.size());
    CHECK(encoder.feed(std::string_view(text).substr(used), true) == text.size() - used);
    CHECK((encoder.take_ids() == std::vector<std::int32_t>{0, 1, 0, 2, 1, 3}));
    CHECK((encoder.take_ends() == std::vector<std::int64_t>{2, 6}));
    CHECK((encoder.counts() == std::vector<std::int64_t>{2, 2, 1, 1}));
  }
}

}  // namespace
}  // namespace fastrnn

int main() {
  fastrnn::test_text();
  fastrnn::test_training();
  std::puts("ok");
  return 0;
}
