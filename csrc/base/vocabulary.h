// Tables made from word counts: the distribution of negatives, and the Huffman tree.
#pragma once

#include <cstdint>
#include <vector>

#include "base/word2vec.h"

namespace fastrnn {

// Walker's alias table of `size` weights, which are finite, >= 0 and not all 0.  An entry's probability is exact to
// 2^-32.
void alias_table(const double* weights, std::ptrdiff_t size, Alias* table);

struct HuffmanPaths {
  std::vector<std::int64_t> offsets;  // [V+1]
  std::vector<std::int32_t> nodes;    // inner nodes, from the root; numbered in the order in which they are joined
  std::vector<float> labels;          // 1 for the rarer of the two children, 0 for the other
};

// Least counts are joined first; of equal counts words before inner nodes, later words before earlier ones.
HuffmanPaths huffman_paths(const std::int64_t* counts, std::ptrdiff_t size);

}  // namespace fastrnn
