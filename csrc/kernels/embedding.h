// Rows of a table by token, and the gradient of the table.
#pragma once

#include "base/ops.h"
#include "base/threads.h"
#include "kernels/grid.h"

namespace fastrnn::FASTRNN_ISA {

template <class T>
void embedding(const Embedding<T>& a) noexcept {
  auto body = [&](int thread) noexcept {
    const Range mine = part(a.count, a.threads, thread);
    const auto bytes = static_cast<std::size_t>(a.columns) * sizeof(T);
    for (ptrdiff_t i = mine.begin; i < mine.end; ++i)
      __builtin_memcpy(a.y + i * a.columns, a.table + a.tokens[i] * a.columns, bytes);
  };
  run_team(a.threads, body);
}

// Threads share the columns, so a row of the table is added to in the order of the chain whatever the tokens are.
template <class T>
void embedding_backward(const EmbeddingBackward<T>& a) noexcept {
  constexpr ptrdiff_t U = kLanes<T>;
  const Chain chain{a.steps, a.rows, a.rows};
  auto body = [&](int thread) noexcept {
    const Range blocks = part(ceil_div(a.columns, kBlock), a.threads, thread);
    const ptrdiff_t begin = blocks.begin * kBlock, end = min_of(a.columns, blocks.end * kBlock);
    for (ptrdiff_t place = 0; place < chain.length(); ++place) {
      const T* from = chain.at(a.dy, place);
      T* to = a.dtable + a.tokens[chain.index(place)] * a.columns;
      ptrdiff_t j = begin;
      for (; j + U <= end; j += U) store(to + j, load(to + j) + load(from + j));
      if (j < end) store_n(to + j, load_n(to + j, end - j) + load_n(from + j, end - j), end - j);
    }
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
