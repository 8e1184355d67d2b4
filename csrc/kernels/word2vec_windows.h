// What a step works on: the words that survive subsampling, their windows, their negatives.
//
// Everything random is drawn from (key of the epoch, position in the corpus) alone:
//   stream   r = draw64(key, position)
//   keep     low half of r <= keep of the type
//   window   1 + (high half of r) * window / 2^32 with `shrink`
//   negative draw64(r, i): high half -> entry of the alias table, low half against its threshold; i counts the
//            negatives of the position: k with shared negatives, j * negatives + k for context j otherwise
#pragma once

#include "base/rng.h"
#include "base/word2vec.h"
#include "kernels/grid.h"

namespace fastrnn::FASTRNN_ISA::w2v {

struct Kept {
  std::uint64_t stream;
  std::int32_t word;
  std::int32_t sentence;  // counted from the slice's first
};

FASTRNN_INLINE std::uint32_t low(std::uint64_t r) { return static_cast<std::uint32_t>(r); }
FASTRNN_INLINE std::uint64_t high(std::uint64_t r) { return r >> 32; }

// Index of the sentence that has position p.  Empty sentences have none.
FASTRNN_INLINE ptrdiff_t sentence_of(const Corpus& corpus, ptrdiff_t p) {
  ptrdiff_t first = 0, last = corpus.sentences;  // offsets[first] <= p < offsets[last]
  while (last - first > 1) {
    const ptrdiff_t middle = first + (last - first) / 2;
    (corpus.offsets[middle] <= p ? first : last) = middle;
  }
  return first;
}

// The kept words of a slice, and on both sides as many as a window can reach into.
struct Slice {
  Kept* words;            // [kSlice + 2 * window]
  std::int32_t* noise;    // [words of the slice, negatives] that are drawn already; null: none
  ptrdiff_t first, last;  // words[first:last] are there
  ptrdiff_t begin, end;   // words[begin:end] are of the slice itself
  ptrdiff_t sentence;     // of the first

  static ptrdiff_t capacity(const Word2Vec& a) { return kSlice + 2 * a.window; }

  FASTRNN_INLINE bool take(const Word2Vec& a, ptrdiff_t p, ptrdiff_t sentence, Kept& to) {
    const Type type = a.corpus.types[a.corpus.ids[p]];
    const std::uint64_t stream = draw64(a.key, static_cast<std::uint64_t>(p));
    to = {stream, type.word, static_cast<std::int32_t>(sentence)};
    return (type.word >= 0) & (low(stream) <= type.keep);
  }

  void collect(const Word2Vec& a, Range positions) noexcept {
    const std::int64_t* offsets = a.corpus.offsets;
    begin = first = end = last = a.window;
    if (positions.begin >= positions.end) return;
    ptrdiff_t s = sentence_of(a.corpus, positions.begin);
    const ptrdiff_t base = sentence = s;
    for (ptrdiff_t p = positions.begin - 1; a.windows && p >= offsets[s] && first > 0; --p)
      if (take(a, p, 0, words[first - 1])) --first;
    for (ptrdiff_t p = positions.begin; p < positions.end; ++p) {
      while (p >= offsets[s + 1]) ++s;
      end += take(a, p, s - base, words[end]);
    }
    last = end;
    for (ptrdiff_t p = positions.end; a.windows && p < offsets[s + 1] && last - end < a.window; ++p)
      last += take(a, p, s - base, words[last]);
  }

  // The contexts of word i are words[begin:end] without i.
  Range window(const Word2Vec& a, ptrdiff_t i) const {
    const ptrdiff_t size =
        a.shrink ? 1 + static_cast<ptrdiff_t>((high(words[i].stream) * static_cast<std::uint64_t>(a.window)) >> 32)
                 : a.window;
    Range w{max_of(first, i - size), min_of(last, i + size + 1)};
    while (words[w.begin].sentence != words[i].sentence) ++w.begin;
    while (words[w.end - 1].sentence != words[i].sentence) --w.end;
    return w;
  }
  ptrdiff_t contexts(const Word2Vec& a, ptrdiff_t i) const {
    if (!a.windows) return 0;
    const Range w = window(a, i);
    return w.end - w.begin - 1;
  }

  std::int32_t* noise_of(const Word2Vec& a, ptrdiff_t i) const {
    return noise == nullptr ? nullptr : noise + (i - begin) * a.negatives;
  }
};

// Negative number `index` of a position.
FASTRNN_INLINE std::int32_t negative(const OutputWords& words, std::uint64_t stream, ptrdiff_t index) {
  const std::uint64_t r = draw64(stream, static_cast<std::uint64_t>(index));
  const auto entry = static_cast<std::int32_t>((high(r) * words.alias_size) >> 32);
  const Alias alias = words.alias[entry];
  return low(r) < alias.threshold ? entry : alias.other;
}

inline constexpr ptrdiff_t kTogether = 2;  // most words of a document in one step of PV-DBOW

// The outputs of a step: rows of one table, what their scores should be, and what their errors count.
struct Outputs {
  ptrdiff_t count;
  bool weighted;  // else all weights are 1
  std::int32_t* rows;
  float *labels, *weights;
};

// The words of some centres, then the negatives of the first, unless they are `drawn` already.  A negative counts once
// for each of the words, but for those that it is, as in word2vec.c.
__attribute__((noinline)) inline void draw_negatives(const Word2Vec& a, const Kept* centres, ptrdiff_t words,
                                                     ptrdiff_t first, const std::int32_t* drawn, Outputs& to) {
  for (ptrdiff_t i = 0; i < words; ++i) {
    to.rows[i] = centres[i].word;
    to.labels[i] = to.weights[i] = 1;
  }
  to.count = words;
  to.weighted = words > 1;
  for (ptrdiff_t k = 0; k < a.negatives; ++k) {
    const std::int32_t row = drawn != nullptr ? drawn[k] : negative(a.words, centres->stream, first + k);
    ptrdiff_t others = 0;
    for (ptrdiff_t i = 0; i < words; ++i) others += row != centres[i].word;
    to.rows[to.count] = row;
    to.labels[to.count] = 0;
    to.weights[to.count] = static_cast<float>(others);
    to.count += others > 0;
  }
}

FASTRNN_INLINE void take_path(const Word2Vec& a, std::int32_t word, Outputs& to) {
  const std::int64_t first = a.words.path_offsets[word];
  to.count = a.words.path_offsets[word + 1] - first;
  to.weighted = false;
  for (ptrdiff_t i = 0; i < to.count; ++i) {
    to.rows[i] = a.words.path_nodes[first + i];
    to.labels[i] = a.words.path_labels[first + i];
  }
}

// Into the second level of the cache: the rows of a few centres do not fit into the first beside what is in use (d =
// 300: 0.92 million words/s on one thread into the first, 1.26 into the second).
FASTRNN_INLINE void prefetch_row(const float* row, ptrdiff_t columns) {
  for (ptrdiff_t c = 0; c < columns; c += 16) __builtin_prefetch(row + c, 0, 2);
}

}  // namespace fastrnn::FASTRNN_ISA::w2v
