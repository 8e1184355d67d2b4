// What bindings hand to kernels: plain structs, no behaviour.  A pointer says its shape, role and lifetime here, once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastrnn {

using std::ptrdiff_t;

struct Range {
  ptrdiff_t begin, end;
};

// Hidden units are stored in blocks of this many, for every vector length, so that the order of every sum is the same.
inline constexpr ptrdiff_t kBlock = 16;
inline constexpr int kMaxStates = 2;
inline constexpr int kMaxMatrices = 2;      // recurrent ones of a cell
inline constexpr int kMostRowGroups = 256;  // of a plan: their barriers lie on the stack

// Rows (i, j) at p + i * outer + j * inner; their columns are contiguous.  For sequences i is the step, j the batch
// row.
template <class T>
struct Rows {
  T* p;
  ptrdiff_t outer, inner;
};

// How a call is shared out: threads = row_groups * unit_groups.  Threads of one row group meet at a barrier every step
// when unit_groups > 1; row groups never wait for each other inside a chunk.
struct Plan {
  int row_groups, unit_groups;
  ptrdiff_t chunk;              // steps whose input projection, and whose weight gradients, are formed together
  const void* pairs = nullptr;  // what multiplies operands as pairs of bfloat16, see Kernels; null: they are as given
  bool own_panels = false;      // each row group packs weights, and rows for their gradients, for itself, not for all
  int threads() const { return row_groups * unit_groups; }
  int panel_sets() const { return own_panels ? row_groups : 1; }
};

// Rows of unlike lengths are sorted, the longest first, so that the rows of a step are the first `count` ones.  Their
// sequences are then stored without padding, as `saved` always is: from the last step to the first, rows ascending.
struct Shape {
  ptrdiff_t steps, rows, inputs, hidden;
  ptrdiff_t vocabulary;                // rows of the table of a token input, else 0
  ptrdiff_t projected = 0;             // width of h where the cell projects it, else 0
  const ptrdiff_t* lengths = nullptr;  // [rows], or null: all have `steps`
  const ptrdiff_t* places = nullptr;   // [steps + 1]: places[t] is the number of rows of steps >= t

  ptrdiff_t output() const { return projected != 0 ? projected : hidden; }  // width P of h, and so of y
  bool ragged() const { return lengths != nullptr; }
  ptrdiff_t length(ptrdiff_t b) const { return ragged() ? lengths[b] : steps; }
  // Rows of step t; there are none after the last step.
  ptrdiff_t count(ptrdiff_t t) const {
    if (t >= steps) return 0;
    return ragged() ? places[t] - places[t + 1] : rows;
  }
  // Rows of steps [t0, t1).
  ptrdiff_t between(ptrdiff_t t0, ptrdiff_t t1) const { return ragged() ? places[t0] - places[t1] : (t1 - t0) * rows; }
  // Where the rows of step t begin in `saved`.
  ptrdiff_t place(ptrdiff_t t) const { return ragged() ? places[t + 1] : (steps - 1 - t) * rows; }
  // The rows of step t of a sequence.
  template <class T>
  Rows<T> at(const Rows<T>& a, ptrdiff_t t) const {
    if (a.p == nullptr) return a;
    return {a.p + (ragged() ? place(t) * a.inner : t * a.outer), 0, a.inner};
  }
};

template <class T>
struct Weights {
  const T* input;                    // [G*H, I], gates in PyTorch's order
  const T* recurrent[kMaxMatrices];  // [gates*H, P], as many gates as CellInfo says; none: null.  Second: [gates*H, H],
                                     // or [P, H] of a cell that projects h
  const T* input_bias;               // [G*H] or null
  const T* recurrent_bias;           // [gates*H] of the first recurrent matrix, or null
  const T* units;                    // [CellInfo::units, H], or null if the cell has none
  const T *input_gain, *recurrent_gain;  // [G*H], [gates*H] as the biases, if the cell is normalised
  const T *inner_gain, *inner_bias;      // [CellInfo::inner*H]; the bias may be null
};

template <class T>
struct Gradients {  // shapes of Weights; added into; null: not wanted
  T *input, *recurrent[kMaxMatrices], *input_bias, *recurrent_bias, *units;
  T *input_gain, *recurrent_gain, *inner_gain, *inner_bias;
};

// The scratch that a call needs, in elements; bindings take it from the pool.
struct Sizes {
  ptrdiff_t saved;    // pre-activations, then gates, then their gradients: [T, B, row] (inference: [chunk, B, row])
  ptrdiff_t row;      // elements of one row of `saved`: slots * hidden rounded up to kBlock, padded off 4 KiB strides
  ptrdiff_t stash;    // the states but h: [states-1][StateSteps::kept, B, hidden rounded up]; then operands of a step
  ptrdiff_t panels;   // packed weights, free after the call; forward and backward need the same
  ptrdiff_t scratch;  // and the rest
};

// Which steps' states are kept.  Backward forms the others again from the gates, chunk by chunk, so only those before
// its chunks are: `every` steps, counted from the end.  A place is used until the step after which it is kept.
struct StateSteps {
  ptrdiff_t steps, every;  // every = 0: nothing is kept, places are used in turn
  ptrdiff_t turns = 1;
  ptrdiff_t kept() const { return every == 0 ? turns : (steps + every - 1) / every + 1; }
  ptrdiff_t place(ptrdiff_t t) const {  // of the state before step t
    if (every == 0) return t % turns;
    return t == 0 ? 0 : kept() - 1 - (steps - t) / every;
  }
};

// What training does to the states besides the cell.
template <class T>
struct StateNoise {
  Rows<const T> drop;  // [1, B, P], or null: products read h times this
  T* dropped;          // [B + N, P rounded up]: what they read, before the first step and then as in `saved`.  Forward
                       // writes it, backward reads it
  Rows<const T> zone[kMaxStates];  // [T, B, P or H], or null: how much of a state before a step is kept as it is

  bool zones() const { return zone[0].p != nullptr || zone[1].p != nullptr; }
  // Row 0 of what they read at step t.
  T* at(const Shape& s, ptrdiff_t t) const {
    const ptrdiff_t row = (s.output() + kBlock - 1) / kBlock * kBlock;
    return dropped + (t == 0 ? 0 : s.rows + s.place(t - 1)) * row;
  }
};

// What pre-activations begin with, of a cell that has one for each unit, if not with the bias.  No two rows of the
// batch share one.
template <class T>
struct Begin {
  Rows<T> rows;                      // [V, B, H rounded up]; of unlike lengths [V, H rounded up]; zeros past H
  const std::int32_t* of = nullptr;  // [T], ascending, or [N] in the order of `saved`: which of the V; null: none
};

template <class T>
struct Forward {
  Shape shape;
  Plan plan;
  ptrdiff_t keep;              // steps of a chunk of the Backward for which saved and stash are kept; 0: they are not
  Rows<const T> x;             // [T, B, I], or null with tokens
  const std::int32_t* tokens;  // in the order of `saved`, each in [0, vocabulary), or null
  const T* table;              // [vocabulary, I]
  Weights<T> weights;
  const T* initial[kMaxStates];  // [B, P or H] rows, initial_stride apart; stride 0: one row of zeros for all
  ptrdiff_t initial_stride[kMaxStates];
  StateNoise<T> noise;
  Begin<const T> begin;
  Rows<const T> side;                   // [T, B, H]  what a cell with a side slot finds there; null: zeros
  Rows<T> cells;                        // [T, B, H]  out: c after each step, or null
  Rows<T> y;                            // [T, B, P]  out
  T* final[kMaxStates];                 // like initial, contiguous  out
  T *saved, *stash, *panels, *scratch;  // see Sizes
  bool prepared;                        // panels and scratch are as a call with these weights and this plan left them
  bool (*interrupted)();                // asked by thread 0 now and then; true: leave early
};

template <class T>
struct Backward {
  Shape shape;
  Plan plan;
  Rows<const T> x;
  const std::int32_t* tokens;
  const T* table;
  Weights<T> weights;
  const T* initial[kMaxStates];
  ptrdiff_t initial_stride[kMaxStates];
  StateNoise<T> noise;
  Begin<T> dbegin;  // out: of those that a step names; of unlike lengths added into
  Rows<const T> side;
  Rows<T> dside;         // [T, B, H]  out, or null: not wanted
  Rows<const T> dcells;  // [T, B, H], or null: zeros
  Rows<const T> y;
  T* saved;  // in: gates; out: their gradients
  const T* stash;
  Rows<const T> dy;             // [T, B, P], p null: zeros
  const T* dfinal[kMaxStates];  // like initial, contiguous, null: zeros
  Rows<T> dx;                   // [T, B, I]  out, p null: not wanted.  May be dy
  bool add_dx;                  // add into dx instead
  T* dtable;                    // [vocabulary, I], added into, null: not wanted
  Gradients<T> grads;
  T* dinitial[kMaxStates];  // like initial, contiguous  out
  T *panels, *scratch;
  bool (*interrupted)();
};

// Joins the blocks of sequences that were passed side by side: row b of the pass is block b % blocks of a sequence.
template <class T>
struct Scan {
  Shape shape;       // of the pass
  ptrdiff_t blocks;  // of each sequence
  bool backward;
  bool descending;   // the pass goes, or backward comes, from the last block of a sequence to the first
  const T* saved;    // as the pass forward left it
  Rows<T> y;         // [steps, rows, H]  forward: in: from states of zeros; out: from the true ones
  Rows<const T> dy;  // [steps, rows, H], p null: zeros
  const T* given;    // [rows / blocks, H], null: zeros; the initial state, or the gradient by the final one
  T* edges;          // [rows, H]  out: the state before each block, or the gradient by the state after it
  T* products;       // [rows, H rounded up to kBlock]  scratch
  int threads;
};

inline constexpr int kCells = 19;  // in the table, in the order of kernels/recurrent.h

struct CellInfo {
  const char* name;
  int gates;                          // rows of the input matrix are gates * hidden
  int recurrent_gates[kMaxMatrices];  // of the recurrent matrices; 0: there is none
  int units;                          // parameters that every unit has of its own
  int slots, states;
  int barriers;   // of a step, when units are shared out
  bool projects;  // h is narrower than the cell
  bool sees_made_states;
  bool side;    // reads a second sequence, of H numbers
  bool by_row;  // pointwise is shared out by rows: the cell is normalised
  int inner;    // gains of what is normalised within the cell
};

template <class T>
struct RecurrentKernels {
  CellInfo info;
  Sizes (*forward_sizes)(const Shape&, const Plan&, ptrdiff_t keep) noexcept;
  Sizes (*backward_sizes)(const Shape&, const Plan&) noexcept;
  bool (*forward)(const Forward<T>&) noexcept;  // true: left early because `interrupted` said so
  bool (*backward)(const Backward<T>&) noexcept;
  void (*scan)(const Scan<T>&) noexcept;  // null: h' is no linear function of h
};

}  // namespace fastrnn
