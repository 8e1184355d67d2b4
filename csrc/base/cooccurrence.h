// How often words stand near each other, for GloVe: Pennington, Socher, Manning, EMNLP 2014.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fastrnn {

// One entry of the matrix; it is symmetric, and has those with column <= row.
struct Cooccurrence {
  std::int32_t row, column;
  float count;
};

struct CooccurrenceCall {
  const std::int32_t* ids;      // [N], each a type
  const std::int32_t* words;    // [types]  the word of each, or -1: windows close up where it stood
  const std::int64_t* offsets;  // [sentences + 1]  sentence s is ids[offsets[s] : offsets[s+1]]
  ptrdiff_t sentences;
  std::int32_t first, last;  // rows that are wanted
  std::int32_t vocabulary;   // every word is below
  int window, threads;
};

// Entries of rows first .. last, in the order of the rows, none of them 0: two words that are d apart, d <= window, in
// a sentence count 1/d in both directions.  A row is summed in float64 by one thread in the order of the corpus, so the
// threads change nothing.  Memory beside the result: 16 bytes for each time that a word of these rows occurs, and 12
// for each word of the vocabulary and thread.
std::vector<Cooccurrence> cooccurrences(const CooccurrenceCall& call);

}  // namespace fastrnn
