// Blocks of a long sequence side by side, as rows of a batch: what joins them, for cells with h' = keep h + something.
//
// The pass itself is that of sequence.h.  Forward it begins every block with a state of zeros; a block's true states
// are those plus the product of keep since its beginning, times the state before it.  Backward is told the gradient by
// the state after every block.
#pragma once

#include "kernels/sequence.h"

namespace fastrnn::FASTRNN_ISA {

template <class Cell, class T>
struct ScanRun {
  using V = Vec<T>;
  const Scan<T>& f;
  const Shape& s;
  Geometry<Cell> geometry;

  explicit ScanRun(const Scan<T>& args) : f(args), s(args.shape), geometry(s, sizeof(T)) {}

  T* product_at(ptrdiff_t b) const { return f.products + b * geometry.padded; }
  T* edge_at(ptrdiff_t b) const { return f.edges + b * s.hidden; }

  // For every step of some rows: their products of keep up to it; then visit(t, row, unit, product).
  template <class F>
  void for_products(Range rows, F visit) const {
    for (ptrdiff_t i = 0; i < (rows.end - rows.begin) * geometry.padded; i += kLanes<T>)
      store(product_at(rows.begin) + i, constant<V>(1.0));
    for (ptrdiff_t t = 0; t < s.steps; ++t)
      for (ptrdiff_t b = rows.begin; b < rows.end; ++b) {
        const T* row = f.saved + (s.place(t) + b) * geometry.row;
        for (ptrdiff_t unit = 0; unit < geometry.padded; unit += kLanes<T>) {
          const T* slots = row + unit / kBlock * kBlock * Cell::kSlots + unit % kBlock;
          V a[Cell::kSlots];
          for (int g = 0; g < Cell::kSlots; ++g) a[g] = load(slots + g * kBlock);
          const V product = load(product_at(b) + unit) * Cell::keep(a);
          store(product_at(b) + unit, product);
          visit(t, b, unit, product);
        }
      }
  }

  // The gradient by the state before each block, of the outputs of that block alone.
  void gradients_within(Range rows) const {
    for (ptrdiff_t i = rows.begin * s.hidden; i < rows.end * s.hidden; ++i) f.edges[i] = T(0);
    for_products(rows, [&](ptrdiff_t t, ptrdiff_t b, ptrdiff_t unit, V product) {
      if (f.dy.p == nullptr) return;
      const ptrdiff_t valid = s.hidden - unit;
      const V dy = load_units(f.dy.p + t * f.dy.outer + b * f.dy.inner + unit, valid);
      store_units(edge_at(b) + unit, fma(product, dy, load_units(edge_at(b) + unit, valid)), valid);
    });
  }

  // From one block to the next, in the direction of the pass, for some units.
  void join(Range blocks) const {
    for (ptrdiff_t sequence = 0; sequence < s.rows / f.blocks; ++sequence)
      for (ptrdiff_t unit = blocks.begin * kBlock; unit < blocks.end * kBlock; unit += kLanes<T>) {
        const ptrdiff_t valid = s.hidden - unit;
        V edge{};
        if (f.given != nullptr) edge = load_units(f.given + sequence * s.hidden + unit, valid);
        for (ptrdiff_t i = 0; i < f.blocks; ++i) {
          const ptrdiff_t b = sequence * f.blocks + (f.descending ? f.blocks - 1 - i : i);
          const T* within = f.backward ? edge_at(b) : f.y.p + (s.steps - 1) * f.y.outer + b * f.y.inner;
          const V next = fma(load(product_at(b) + unit), edge, load_units(within + unit, valid));
          store_units(edge_at(b) + unit, edge, valid);
          edge = next;
        }
      }
  }

  void add_edges(Range rows) const {
    for_products(rows, [&](ptrdiff_t t, ptrdiff_t b, ptrdiff_t unit, V product) {
      const ptrdiff_t valid = s.hidden - unit;
      T* y = f.y.p + t * f.y.outer + b * f.y.inner + unit;
      store_units(y, fma(product, load_units(edge_at(b) + unit, valid), load_units(y, valid)), valid);
    });
  }

  void run(int thread, Barrier& barrier) const {
    const Range rows = part(s.rows, f.threads, thread);
    if (f.backward)
      gradients_within(rows);
    else
      for_products(rows, [](ptrdiff_t, ptrdiff_t, ptrdiff_t, V) {});
    barrier.wait();
    join(part(geometry.blocks, f.threads, thread));
    if (f.backward) return;
    barrier.wait();
    add_edges(rows);
  }
};

template <class Cell, class T>
void run_scan(const Scan<T>& f) noexcept {
  const ScanRun<Cell, T> run(f);
  Barrier barrier(f.threads);
  auto body = [&](int thread) noexcept { run.run(thread, barrier); };
  run_team(f.threads, body);
}

}  // namespace fastrnn::FASTRNN_ISA
