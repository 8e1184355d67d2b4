// Skip-gram and CBOW over a range of the corpus, with negative sampling, hierarchical softmax, or both.
//
// Hogwild (Niu, Recht, Re, Wright 2011): threads take slices of the corpus and update the tables without locks.
//
// Deterministic: see word2vec_blocks.h.
#pragma once

#include <new>

#include "kernels/word2vec_blocks.h"

namespace fastrnn::FASTRNN_ISA::w2v {

FASTRNN_INLINE ptrdiff_t worker_bytes(const Word2Vec& a) { return Worker(a, nullptr).bytes(); }

FASTRNN_INLINE ptrdiff_t team_bytes(const Word2Vec& a) {
  return a.threads * (worker_bytes(a) + ceil_div(static_cast<ptrdiff_t>(sizeof(Worker)), 64) * 64);
}

inline ptrdiff_t scratch_bytes(const Word2Vec& a) noexcept {
  return team_bytes(a) + (a.deterministic && pieces_of(a) > 1 ? Blocks(a, nullptr).bytes() : 0);
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
      worker.collect({begin, min_of(begin + kSlice, a.end)});
      worker.train(rate_at(a, begin));
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

inline void train_deterministic(const Word2Vec& a) noexcept {
  const ptrdiff_t each = worker_bytes(a);
  auto* scratch = static_cast<char*>(a.scratch);
  auto* workers = reinterpret_cast<Worker*>(scratch + a.threads * each);
  for (int t = 0; t < a.threads; ++t) ::new (static_cast<void*>(&workers[t])) Worker(a, scratch + t * each);
  for (ptrdiff_t i = 0; i < ceil_div(a.end - a.begin, kSlice); ++i) a.losses[i] = static_cast<double>(a.centres[i] = 0);
  Blocks(a, scratch + team_bytes(a)).train(workers);
}

// Pieces that cannot be shared out are those of one thread.
inline void train(const Word2Vec& a) noexcept {
  if (a.deterministic && pieces_of(a) > 1) return train_deterministic(a);
  Word2Vec alone = a;
  if (a.deterministic) alone.threads = 1;
  train_hogwild(alone);
}

}  // namespace fastrnn::FASTRNN_ISA::w2v
