#include "base/vocabulary.h"

#include <algorithm>
#include <numeric>

namespace fastrnn {

void alias_table(const double* weights, std::ptrdiff_t size, Alias* table) {
  const double total = std::accumulate(weights, weights + size, 0.0);
  std::vector<double> share(static_cast<std::size_t>(size));
  std::vector<std::int32_t> small, large;
  for (std::ptrdiff_t i = 0; i < size; ++i) {
    const auto at = static_cast<std::size_t>(i);
    share[at] = weights[i] / total * static_cast<double>(size);
    (share[at] < 1 ? small : large).push_back(static_cast<std::int32_t>(i));
  }
  const auto full = [&](std::int32_t i) { table[i] = {0xFFFFFFFFu, i}; };
  while (!small.empty() && !large.empty()) {
    const std::int32_t poor = small.back(), rich = large.back();
    small.pop_back();
    table[poor] = {static_cast<std::uint32_t>(share[static_cast<std::size_t>(poor)] * 0x1p32), rich};
    double& left = share[static_cast<std::size_t>(rich)];
    left -= 1 - share[static_cast<std::size_t>(poor)];
    if (left >= 1) continue;
    large.pop_back();
    small.push_back(rich);
  }
  std::for_each(small.begin(), small.end(), full);  // what rounding leaves over
  std::for_each(large.begin(), large.end(), full);
}

// Two queues, of words by count and of inner nodes by age: the least of both is at their fronts.
HuffmanPaths huffman_paths(const std::int64_t* counts, std::ptrdiff_t size) {
  const auto n = static_cast<std::size_t>(size);
  std::vector<std::size_t> words(n);
  std::iota(words.rbegin(), words.rend(), std::size_t{0});
  std::stable_sort(words.begin(), words.end(), [&](std::size_t a, std::size_t b) { return counts[a] < counts[b]; });
  std::vector<std::size_t> parent(2 * n), depth(2 * n);
  std::vector<char> rarer(2 * n);
  std::vector<std::int64_t> joined;
  std::size_t word = 0, node = 0;
  const auto least = [&](std::int64_t& sum) {
    const bool take_word = word < n && (node == joined.size() || counts[words[word]] <= joined[node]);
    sum += take_word ? counts[words[word]] : joined[node];
    return take_word ? words[word++] : n + node++;
  };
  while (joined.size() + 1 < n) {
    std::int64_t sum = 0;
    const std::size_t first = least(sum), second = least(sum);
    parent[first] = parent[second] = n + joined.size();
    rarer[first] = 1;
    joined.push_back(sum);
  }
  for (std::size_t i = n + joined.size() - 1; i-- > n;) depth[i] = depth[parent[i]] + 1;
  HuffmanPaths paths;
  paths.offsets.assign(n + 1, 0);
  for (std::size_t i = 0; i < n && n > 1; ++i)
    paths.offsets[i + 1] = paths.offsets[i] + static_cast<std::int64_t>(depth[parent[i]] + 1);
  paths.nodes.resize(static_cast<std::size_t>(paths.offsets[n]));
  paths.labels.resize(paths.nodes.size());
  for (std::size_t i = 0; i < n && n > 1; ++i) {
    std::size_t at = i;
    for (auto to = static_cast<std::size_t>(paths.offsets[i + 1]); to-- > static_cast<std::size_t>(paths.offsets[i]);) {
      paths.labels[to] = rarer[at] ? 1.0f : 0.0f;
      at = parent[at];
      paths.nodes[to] = static_cast<std::int32_t>(at - n);
    }
  }
  return paths;
}

}  // namespace fastrnn
