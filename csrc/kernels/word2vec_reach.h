// What windows reach: the inputs of the centres of a slice, one centre after the other.
#pragma once

#include "kernels/word2vec_inputs.h"

namespace fastrnn::FASTRNN_ISA::w2v {

struct Reach {
  const Word2Vec& a;
  Slice slice;
  Inputs inputs{a, nullptr};
  ptrdiff_t slots, reached;  // of words; words before `reached` are composed
  ptrdiff_t tagged = -1;     // the sentence whose tags are copied, into the slots after those of words
  std::int32_t* contexts;    // inputs, [most]: words of the window, then tags
  float** x;                 // [most]
  float** homes;             // [words of the slice]  in deterministic training: where the rows of words are

  explicit Reach(const Word2Vec& call) noexcept : a(call) {}

  bool kept_means() const { return inputs.bags() && a.shared; }  // from the first window to the last
  Range all_columns() const { return {0, a.tables.stride}; }

  void settle(ptrdiff_t j) noexcept { inputs.settle(j & (slots - 1), slice.words[j].word, all_columns()); }

  Bag tags(ptrdiff_t sentence) const {
    const std::int64_t* ends = a.corpus.tags.offsets + sentence;
    return {a.corpus.tags.rows + ends[0], ends[1] - ends[0]};
  }
  void merge_tags() noexcept {
    for (ptrdiff_t j = 0; tagged >= 0 && j < tags(tagged).count; ++j)
      inputs.merge(slots + j, tags(tagged).rows[j], all_columns());
    tagged = -1;
  }

  // The inputs of a centre; returns how many.
  ptrdiff_t gather(ptrdiff_t i) noexcept {
    ptrdiff_t m = 0;
    for (const ptrdiff_t end = min_of(slice.last, i + a.window + 1); kept_means() && reached < end; ++reached) {
      if (reached - slots >= slice.first) settle(reached - slots);
      inputs.compose(reached & (slots - 1), slice.words[reached].word, all_columns());
    }
    if (a.windows) {
      const Range window = slice.window(a, i);
      for (ptrdiff_t j = window.begin; j < window.end; ++j) {
        if (j == i) continue;
        contexts[m] = slice.words[j].word;
        x[m] = inputs.own != nullptr && !inputs.bags() ? homes[j]
               : kept_means()                          ? inputs.at(j & (slots - 1), contexts[m])
                                                       : inputs.row(contexts[m]);
        ++m;
      }
    }
    return a.corpus.tags.offsets == nullptr ? m : gather_tags(i, m);
  }

  // The inputs of a centre that are joined; none where the document has another number of tags.
  ptrdiff_t gather_joined(ptrdiff_t i) noexcept {
    if (tags(slice.sentence + slice.words[i].sentence).count != a.joined.tags) return 0;
    ptrdiff_t m = gather_tags(i, 0);
    const Range window = slice.window(a, i);
    for (ptrdiff_t j = i - a.window; j <= i + a.window; ++j) {
      if (j == i) continue;
      contexts[m] = j >= window.begin && j < window.end ? slice.words[j].word : a.joined.null;
      x[m] = inputs.row(contexts[m]);
      ++m;
    }
    return m;
  }

  // Adds the tags of a centre to its m inputs.
  ptrdiff_t gather_tags(ptrdiff_t i, ptrdiff_t m) noexcept {
    const ptrdiff_t sentence = slice.sentence + slice.words[i].sentence;
    const bool copied = Inputs::own_tags(a);
    if (copied && sentence != tagged) {
      merge_tags();
      tagged = sentence;
      for (ptrdiff_t j = 0; j < tags(sentence).count; ++j)
        inputs.copy(slots + j, tags(sentence).rows[j], all_columns());
    }
    for (ptrdiff_t j = 0; j < tags(sentence).count; ++j, ++m) {
      contexts[m] = tags(sentence).rows[j];
      x[m] = copied ? inputs.slot(slots + j) : inputs.row(contexts[m]);
    }
    return m;
  }

  // After the last centre.
  void finish() noexcept {
    for (ptrdiff_t j = max_of(slice.first, reached - slots); kept_means() && j < reached; ++j) settle(j);
    merge_tags();
  }
};

}  // namespace fastrnn::FASTRNN_ISA::w2v
