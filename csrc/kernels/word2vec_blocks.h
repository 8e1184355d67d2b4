// Deterministic training: blocks of pieces, which threads share out; see word2vec_own.h.  Two phases, a barrier after
// each:
//   train the pieces of a block, and list the rows of those of the next
//   merge the rows that several pieces have touched, each row by one thread, the pieces in their order
#pragma once

#include "base/threads.h"
#include "kernels/word2vec_worker.h"

namespace fastrnn::FASTRNN_ISA::w2v {

// Longer blocks have more rows that several pieces touch, and so have more and shorter pieces.  Skip-gram on 20 MB of
// enwiki, copies for each centre: 4 pieces of 128 positions 1.6, 8 of 64 2.2, 8 of 128 2.4.  One thread runs at 0.73,
// 0.66 and 0.58 of the speed without copies.
inline constexpr ptrdiff_t kPiece = 128;
inline constexpr int kMostPieces = static_cast<int>(kSlice / kPiece);
inline constexpr ptrdiff_t kMostCopies = ptrdiff_t{256} << 20;  // bytes

struct Piece {
  Slice slices[2];  // of even and of odd blocks
  RowSet touched;   // of the next block
  OwnRows own;
  std::int64_t loss, centres;
};

// Rows that a piece can touch.
FASTRNN_INLINE ptrdiff_t most_touched(const Word2Vec& a) {
  const ptrdiff_t inputs = Inputs::most(a), words = ptrdiff_t{a.words.alias_size}, nodes = a.words.node_count;
  ptrdiff_t rows = kPiece * a.corpus.tags.longest;
  if (a.windows) rows += (kPiece + 2 * a.window) * max_of(ptrdiff_t{1}, a.bags.longest);
  if (a.tables.output != nullptr) rows += min_of(words, kPiece * (1 + a.negatives * (a.cbow || a.shared ? 1 : inputs)));
  if (a.tables.nodes != nullptr) rows += min_of(nodes, kPiece * a.words.longest_path);
  return rows;
}

// Pieces of a block: one, which is to train on one thread, where all of them would touch nearly all of few words, and
// where inputs are joined: their outputs are many times as long as a row of a word, and a copy has one length.
FASTRNN_INLINE int pieces_of(const Word2Vec& a) {
  if (a.joined.size > 0) return 1;
  const ptrdiff_t words = max_of(ptrdiff_t{a.words.alias_size}, a.words.node_count + 1);
  const ptrdiff_t bytes = most_touched(a) * a.tables.stride * static_cast<ptrdiff_t>(sizeof(float));
  int pieces = kMostPieces;
  while (pieces > 1 && (words < 256 * pieces || pieces * bytes > kMostCopies)) pieces /= 2;
  return pieces;
}

class Blocks {
 public:
  // scratch null: only measures.
  Blocks(const Word2Vec& a, char* scratch) noexcept : a_(a), count_(pieces_of(a)), memory_{scratch} {
    const ptrdiff_t capacity = most_touched(a), size = OwnRows::table_size(capacity), stride = a.tables.stride;
    shared_ = {take<std::uint64_t>(RowSet::kWords)};
    for (int i = 0; i < count_; ++i) {
      Piece& piece = pieces_[i];
      for (Slice& slice : piece.slices) {
        slice.words = take<Kept>(Slice::capacity(a));
        slice.noise = a.cbow || a.shared ? take<std::int32_t>(kPiece * a.negatives) : nullptr;
      }
      piece.touched = {take<std::uint64_t>(RowSet::kWords)};
      auto* table = take<OwnRows::Place>(size);
      auto* rows = take<float*>(capacity);
      auto* places = take<std::int32_t>(capacity);
      auto* merged = take<unsigned char>(capacity);
      auto* own = take<float>(capacity * stride);
      if (scratch != nullptr) piece.own = OwnRows(shared_, stride, table, size, rows, places, merged, own);
    }
  }
  ptrdiff_t bytes() const { return memory_.used; }

  void train(Worker* workers) noexcept {
    Barrier barrier(a_.threads);
    const ptrdiff_t blocks = ceil_div(a_.end - a_.begin, count_ * kPiece);
    auto body = [&](int thread) noexcept {
      Worker& worker = workers[thread];
      for (ptrdiff_t block = 0; block <= blocks; ++block) {
        if (block > 0) share_out(0, thread, [&](int i) { train_piece(worker, i, block - 1); });
        if (block < blocks) share_out(1, thread, [&](int i) { list_rows(worker, i, block); });
        barrier.wait();
        if (block > 0) merge(thread);
        unite(part(RowSet::kWords, a_.threads, thread));
        if (thread == 0) end_block(block - 1);
        barrier.wait();
      }
    };
    run_team(a_.threads, body);
  }

 private:
  const Word2Vec& a_;
  int count_;
  struct {
    char* base;
    ptrdiff_t used = 0;
  } memory_;
  RowSet shared_{};
  Piece pieces_[kMostPieces];
  unsigned char taken_[2][kMostPieces] = {};

  template <class T>
  T* take(ptrdiff_t n) {
    T* p = memory_.base == nullptr ? nullptr : reinterpret_cast<T*>(memory_.base + memory_.used);
    memory_.used += ceil_div(n * static_cast<ptrdiff_t>(sizeof(T)), 64) * 64;
    return p;
  }

  Range positions(int i, ptrdiff_t block) const {
    const ptrdiff_t begin = a_.begin + (block * count_ + i) * kPiece;
    return {min_of(begin, a_.end), min_of(begin + kPiece, a_.end)};
  }
  ptrdiff_t slice_of(Range positions) const { return (positions.begin - a_.begin) / kSlice; }

  // Every piece is done by one thread: its own first, whose memory is near, then those of others that lag behind.
  template <class F>
  void share_out(int work, int thread, F f) noexcept {
    const auto first = static_cast<int>(part(count_, a_.threads, thread).begin);
    for (int j = 0; j < count_; ++j) {
      const int i = (first + j) % count_;
      if (__atomic_exchange_n(&taken_[work][i], 1, __ATOMIC_RELAXED) == 0) f(i);
    }
  }

  void list_rows(Worker& worker, int i, ptrdiff_t block) noexcept {
    worker.slice = pieces_[i].slices[block % 2];
    worker.collect(positions(i, block));
    worker.list_rows(pieces_[i].touched);
    pieces_[i].slices[block % 2] = worker.slice;
  }

  void train_piece(Worker& worker, int i, ptrdiff_t block) noexcept {
    Piece& piece = pieces_[i];
    piece.own.clear();
    worker.slice = piece.slices[block % 2];
    worker.inputs.own = &piece.own;
    worker.train(rate_at(a_, a_.begin + slice_of(positions(i, block)) * kSlice));
    piece.loss = worker.loss;
    piece.centres = worker.centres;
  }

  void merge(int thread) noexcept {
    const auto threads = static_cast<std::uint32_t>(a_.threads), mine = static_cast<std::uint32_t>(thread);
    for (int first = 0; first < count_; ++first) {
      const OwnRows& own = pieces_[first].own;
      for (ptrdiff_t j = 0; j < own.count(); ++j) {
        float* row = own.original(j);
        if ((row_hash(row) >> 16) * threads >> 16 == mine && !own.is_merged(j)) merge_from(first, row, own.copy(j));
      }
    }
  }
  void merge_from(int first, float* row, float* copy) noexcept {
    float* copies[kMostPieces] = {copy};
    int k = 1;
    for (int i = first + 1; i < count_; ++i)
      if (float* other = pieces_[i].own.take(row)) copies[k++] = other;
    merge_row(row, copies, k, a_.tables.stride);
  }

  // The rows of the next block that several pieces touch.
  void unite(Range words) noexcept {
    for (ptrdiff_t w = words.begin; w < words.end; ++w) {
      std::uint64_t one = 0, several = 0;
      for (int i = 0; i < count_; ++i) {
        several |= one & pieces_[i].touched.words[w];
        one |= pieces_[i].touched.words[w];
      }
      shared_.words[w] = several;
    }
  }

  void end_block(ptrdiff_t block) noexcept {
    __builtin_memset(taken_, 0, sizeof(taken_));
    for (int i = 0; block >= 0 && i < count_; ++i) {
      const Range done = positions(i, block);
      if (done.begin >= done.end) break;
      a_.losses[slice_of(done)] += static_cast<double>(pieces_[i].loss) / kLossUnit;
      a_.centres[slice_of(done)] += pieces_[i].centres;
    }
  }
};

}  // namespace fastrnn::FASTRNN_ISA::w2v
