// Skip-gram and CBOW over a range of the corpus, with negative sampling, hierarchical softmax, or both.
//
// Hogwild (Niu, Recht, Re, Wright 2011): threads take slices of the corpus and update the tables without locks.
//
// Deterministic: the errors g of all steps of a block of positions are formed from the tables as they were before it,
// each by any thread; then the updates are applied in the order of the corpus, every thread having some of the columns.
// An update of a column needs g and that column alone, so no order of threads can change a bit.  Stale are the errors
// only, by less than a block.
#pragma once

#include <new>

#include "base/threads.h"
#include "kernels/word2vec_worker.h"

namespace fastrnn::FASTRNN_ISA::w2v {

FASTRNN_INLINE ptrdiff_t worker_bytes(const Word2Vec& a) { return Worker(a, nullptr).bytes(); }

inline ptrdiff_t scratch_bytes(const Word2Vec& a) noexcept {
  return a.threads * (worker_bytes(a) + ceil_div(static_cast<ptrdiff_t>(sizeof(Worker)), 64) * 64);
}

FASTRNN_INLINE float rate_at(const Word2Vec& a, ptrdiff_t position) {
  return static_cast<float>(a.rate + a.rate_per_position * static_cast<double>(position));
}

inline void train_hogwild(const Word2Vec& a) noexcept {
  const ptrdiff_t each = worker_bytes(a), slices = ceil_div(a.end - a.begin, kSlice);
  ptrdiff_t next = 0;
  MergeLock lock;
  auto body = [&](int thread) noexcept {
    Worker worker(a, static_cast<char*>(a.scratch) + thread * each);
    worker.read_hot();
    for (;;) {
      const ptrdiff_t i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
      if (i >= slices) break;
      const ptrdiff_t begin = a.begin + i * kSlice;
      worker.train({begin, min_of(begin + kSlice, a.end)}, rate_at(a, begin));
      a.losses[i] = static_cast<double>(worker.loss) / kLossUnit;
      a.centres[i] = worker.centres;
      if (!lock.try_enter()) continue;
      worker.merge_hot();
      lock.leave();
    }
    while (!lock.try_enter()) {
    }
    worker.merge_hot();
    lock.leave();
  };
  run_team(a.threads, body);
}

// Positions in a block: a power of 2 that leaves a row few steps in it, for stale errors overshoot.  With the defaults
// 64: in blocks of 512 words that come in bursts grow to norms of 11 instead of 3.4, and after five epochs analogies
// are at 3 % instead of 37 %.  Few words, and a root or a tag that every step updates, want smaller ones.
inline constexpr ptrdiff_t kTagBlock = 8;
FASTRNN_INLINE ptrdiff_t block_size(const Word2Vec& a) {
  const ptrdiff_t words = max_of(ptrdiff_t{a.words.alias_size}, a.words.node_count + 1);
  const ptrdiff_t steps = a.cbow ? 1 : a.shrink ? a.window + 1 : 2 * a.window;  // of an output row in a position
  const ptrdiff_t most = a.tables.nodes != nullptr ? 48 / steps : 36 * 64 / ((1 + a.negatives) * steps);
  const ptrdiff_t longest = a.corpus.tags.offsets == nullptr ? kSlice : kTagBlock;
  ptrdiff_t size = 1;
  while (2 * size <= min_of(min_of(most, longest), 12 * words / ((1 + a.negatives) * steps))) size *= 2;
  return size;
}

inline void train_deterministic(const Word2Vec& a) noexcept {
  const ptrdiff_t each = worker_bytes(a), slices = ceil_div(a.end - a.begin, kSlice), size = block_size(a);
  auto* workers = reinterpret_cast<Worker*>(static_cast<char*>(a.scratch) + a.threads * each);
  Barrier barrier(a.threads);
  for (ptrdiff_t i = 0; i < slices; ++i) a.losses[i] = static_cast<double>(a.centres[i] = 0);
  auto body = [&](int thread) noexcept {
    Worker& worker = workers[thread];
    ::new (static_cast<void*>(&worker)) Worker(a, static_cast<char*>(a.scratch) + thread * each);
    const Range blocks = part(a.tables.stride / kBlock, a.threads, thread);
    for (ptrdiff_t begin = a.begin; begin < a.end; begin += size) {
      const ptrdiff_t end = min_of(begin + size, a.end), i = (begin - a.begin) / kSlice;
      const Range mine = part(end - begin, a.threads, thread);
      worker.train({begin + mine.begin, begin + mine.end}, rate_at(a, a.begin + i * kSlice));
      barrier.wait();
      for (int t = 0; t < a.threads; ++t)
        worker.apply_records(workers[t], {blocks.begin * kBlock, blocks.end * kBlock});
      if (thread == 0) {
        std::int64_t loss = 0;
        for (int t = 0; t < a.threads; ++t) {
          loss += workers[t].loss;
          a.centres[i] += workers[t].centres;
        }
        a.losses[i] += static_cast<double>(loss) / kLossUnit;
      }
      barrier.wait();
    }
  };
  run_team(a.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA::w2v
