// What bindings hand to the word2vec kernels: plain structs, as in base/args.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/args.h"

namespace fastrnn {

// Positions of the corpus that one thread takes at a time.  The learning rate is constant over them.  Runs begin at a
// multiple of it.
inline constexpr ptrdiff_t kSlice = 512;

// Of Walker's method: a uniform entry, then its own word with probability threshold / 2^32, else `other`.
struct Alias {
  std::uint32_t threshold;
  std::int32_t other;
};

// Factors on the updates of rows: row r has factors[r % count]; null: all are 1.
struct Locks {
  const float* factors;
  ptrdiff_t count;
};

// Rows of a table of floats, `stride` apart, 64-byte aligned; columns past vector_size are zero and stay so.
// Input row r is row r of `input`, and from `words` on row r - words of `more`.
struct EmbeddingTables {
  float* input;      // [words, stride]
  float* more;       // [*, stride], of n-grams or documents; null: there are none
  float* output;     // [V, output_stride], null: no negative sampling
  float* nodes;      // [V-1, output_stride], null: no hierarchical softmax
  ptrdiff_t stride;  // a multiple of kBlock, as output_stride, which is another where inputs are joined
  ptrdiff_t output_stride;
  ptrdiff_t words;
  Locks locks, more_locks;
};

// Lists of input rows: list i is rows[offsets[i] : offsets[i+1]].
struct RowLists {
  const std::int64_t* offsets;  // null: there are none
  const std::int32_t* rows;
  ptrdiff_t longest;
};

// What becomes of a type (a distinct token of the corpus): its word, or -1 when the vocabulary has none for it, and the
// word is kept when its draw is at most `keep`.
struct Type {
  std::int32_t word;
  std::uint32_t keep;
};

struct Corpus {
  const std::int32_t* ids;      // [N], each a type
  const Type* types;            // [types]
  const std::int64_t* offsets;  // [sentences + 1], ascending from 0 to N: sentence s is ids[offsets[s] : offsets[s+1]]
  ptrdiff_t sentences;
  RowLists tags;  // [sentences]  what every word of a sentence has as inputs beside its contexts: Doc2Vec
};

// The tags and words of a window one after the other, instead of their mean: `tags` of the document, then the words
// from the first to the last, those beyond its ends being word `null`.  Other documents are left out.
struct Joined {
  ptrdiff_t size;  // of a vector; 0: inputs are not joined
  ptrdiff_t tags;
  std::int32_t null;
};

// What the inputs are scored against; null where the tables have no use for it.
struct OutputWords {
  const Alias* alias;                // [V]  the distribution of negatives
  std::uint32_t alias_size;          // V
  const std::int64_t* path_offsets;  // [V+1]  the path of a word through the Huffman tree
  const std::int32_t* path_nodes;    // rows of `nodes`, from the root
  const float* path_labels;          // 1 - the bit of the code there
  ptrdiff_t longest_path, node_count;
};

struct Word2Vec {
  EmbeddingTables tables;
  Corpus corpus;
  OutputWords words;
  Joined joined;         // CBOW only
  RowLists bags;         // [words]  the input of a word is the mean of these rows (FastText); null: of its own row
  ptrdiff_t begin, end;  // positions to train on, begin a multiple of kSlice
  int window, negatives;
  bool cbow, mean;     // mean or sum of the contexts
  bool windows;        // contexts are the words of the window; else there are none, and tags are all inputs
  bool fixed_outputs;  // outputs and nodes stay: inference
  bool shrink;         // window uniform in 1..window, else always `window`
  bool shared;         // one set of negatives and one matrix product for all contexts of a centre
  bool deterministic;  // the bits do not depend on the threads
  bool want_loss;
  std::uint64_t key;               // of this epoch
  double rate, rate_per_position;  // learning rate at position p: rate + rate_per_position * p
  int threads;
  void* scratch;          // word2vec_scratch() bytes, 64-byte aligned
  double* losses;         // [slices of begin..end]  out: summed negative log-likelihood, 0 without want_loss
  std::int64_t* centres;  // [slices of begin..end]  out: words that were not left out by subsampling
};

}  // namespace fastrnn
