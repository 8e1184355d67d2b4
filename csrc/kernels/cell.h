// What a cell says about itself, in constants; docs/decisions/0001-cell-contract.md has the terms.
#pragma once

namespace fastrnn::FASTRNN_ISA {

// A run of slots that a weight matrix feeds.  Slot first + k has gate `gate + (k + rotate) % count` of the matrix.
struct Slots {
  int first, count;
  int gate = 0, rotate = 0;
  constexpr int gate_of(int k) const { return gate + (k + rotate) % count; }
};

// What multiplies a recurrent matrix.  Only kMade is not a state.
enum class Operand {
  kBefore,  // a state before the step: known to all threads since the last step
  kAfter,   // a state that an earlier stage of this step has made
  kMade,    // a value that the stage before has made for this purpose
  kSide,    // of a Reduction: what the side sequence has for the step
};

// A product of the recurrent kind: operand times rows of a matrix, into slots, before the pointwise of its stage.
struct Feed {
  Operand operand;
  int index;  // of the state, or of the made value
  Slots slots;
  int stage = 0;
  int matrix = 0;  // 0: weight_hh; 1: the cell's second matrix
};

// The gradient of a unit parameter: the sum over steps and rows of a slot's gradient, times a state if one is named.
struct Reduction {
  int slot, state = -1;
  Operand operand = Operand::kBefore;  // or kAfter; kSide: times what the side sequence has instead
  constexpr bool by_state() const { return state >= 0 && operand != Operand::kSide; }
};

// A row operation, before the pointwise of a stage: what lies in some slots, less its mean and by its deviation, over
// all units of a row (LayerNorm).  It stays there; gain times that is added to the slots from `to` on, which begin with
// their bias.  Backward leaves the gradient by what was normalised in its place.
struct Norm {
  int first, count, to;
  int stage = 0;
};

template <class Item, int n>
struct List {
  Item at[n > 0 ? n : 1];
  static constexpr int count = n;
};

// What most cells have.
struct CellDefaults {
  static constexpr int kStages = 1;               // pointwise parts of a step; between them units must be exchanged
  static constexpr int kMade = 0;                 // values made for products
  static constexpr bool kHiddenIsDirect = false;  // h reaches h' (or a made value) other than through a Feed
  static constexpr int kSide = -1;                // slot of what a second input sequence has, as it is; none
  static constexpr bool kProjects = false;        // h has its own width; the last stage makes it, and nothing else
  static constexpr bool kKeeps = false;           // h' = keep(gates) h + something without h
  static constexpr List<Reduction, 0> kUnits{};   // one for each parameter that every unit has of its own
  static constexpr List<Norm, 0> kNorms{};        // of what W and R feed, and of kInner
  static constexpr Slots kInner{0, 0};            // slots of the pointwise that are normalised
  static constexpr Slots gates_in(int) { return {0, 64}; }      // slots that a stage of forward turns into gates: all
  static constexpr Slots gradients_in(int) { return {0, 64}; }  // and that of backward into gradients
  static constexpr int made_in(int) { return 64; }              // stage that makes a state; past the last: the last
  template <class... Any>
  static void recall(Any&...) {}  // of a cell that has nothing to recall
};

// Compile-time questions about a cell.
template <class Cell>
struct Traits {
  static constexpr int kFeeds = Cell::kFeeds.count, kUnits = Cell::kUnits.count, kLast = Cell::kStages - 1;
  static constexpr int kMade = Cell::kMade > 0 ? Cell::kMade : 1;  // length of an array
  static constexpr int kNorms = Cell::kNorms.count;
  static constexpr bool kByRow = kNorms > 0;  // pointwise needs whole rows
  static constexpr int made_in(int state) { return Cell::made_in(state) < kLast ? Cell::made_in(state) : kLast; }
  // Whether a stage works on the units of h where those are fewer than the others.
  static constexpr bool projects_in(int stage) { return Cell::kProjects && stage == kLast; }
  static constexpr bool has(Slots s, int slot) { return slot >= s.first && slot < s.first + s.count; }
  // The slots of the pointwise that a product, or a state, gets into: there is its bias.
  static constexpr Slots value_of(Slots s) {
    for (int i = 0; i < kNorms; ++i) {
      const Norm n = Cell::kNorms.at[i];
      if (has({n.first, n.count}, s.first)) return {n.to + s.first - n.first, s.count, s.gate, s.rotate};
    }
    return s;
  }
  // A product that begins with its bias and not with what W or another product left in its slots.
  static constexpr bool begins(const Feed& feed) { return value_of(feed.slots).first != feed.slots.first; }
  // Slots that have to hold their bias before the first stage.
  static constexpr bool wants_bias(int slot) { return !kByRow && !has(Cell::kInput, slot); }
  static constexpr bool wants_bias() { return !kByRow && Cell::kInput.count < Cell::kSlots; }
  static constexpr bool fed(int stage) {
    for (int i = 0; i < kFeeds; ++i)
      if (Cell::kFeeds.at[i].stage == stage) return true;
    return false;
  }
  // Of a step, when units are shared out.
  static constexpr int barriers() { return kFeeds == 0 ? 0 : kByRow ? 2 : Cell::kStages; }
  static constexpr bool wanting(int stage) {
    for (int i = 0; i < kFeeds; ++i)
      if (wanted_in(Cell::kFeeds.at[i]) == stage) return true;
    return false;
  }
  // The last of the stages that follow one, forward or backward, without a product.
  static constexpr int through(int stage) { return stage < kLast && !fed(stage + 1) ? through(stage + 1) : stage; }
  static constexpr int back_through(int stage) {
    return stage > 0 && !wanting(stage - 1) ? back_through(stage - 1) : stage;
  }
  // The stage of backward in which the gradient by the operand of a feed is wanted.
  static constexpr int wanted_in(const Feed& f) {
    return f.operand == Operand::kBefore ? kLast : f.operand == Operand::kAfter ? made_in(f.index) : f.stage - 1;
  }
  // Whether dropout of h in products falls on a made value too: it is made of h for the same matrix.
  static constexpr bool drops_made() {
    for (int i = 0; i < kFeeds; ++i)
      if (Cell::kFeeds.at[i].operand == Operand::kMade && Cell::kFeeds.at[i].matrix == 0) return true;
    return false;
  }
  // Whether something else sees a state that was just made; zoneout would change it before it is seen again.
  static constexpr bool sees_made_states() {
    for (int i = 0; i < kFeeds; ++i)
      if (Cell::kFeeds.at[i].operand == Operand::kAfter) return true;
    for (int i = 0; i < kUnits; ++i)
      if (Cell::kUnits.at[i].operand == Operand::kAfter) return true;
    return false;
  }
  static constexpr bool feeds_from(Operand operand, int index) {
    for (int i = 0; i < kFeeds; ++i)
      if (Cell::kFeeds.at[i].operand == operand && Cell::kFeeds.at[i].index == index) return true;
    return false;
  }
  // States other than h that a product reads: the states of two steps must then exist at once.
  static constexpr bool state_is_operand() {
    for (int i = 0; i < kFeeds; ++i)
      if (Cell::kFeeds.at[i].operand != Operand::kMade && Cell::kFeeds.at[i].index > 0) return true;
    return false;
  }
  static constexpr bool feeds_all_slots() {
    for (int i = 0; i < kFeeds; ++i)
      if (Cell::kFeeds.at[i].slots.count != Cell::kSlots) return false;
    return Cell::kInput.count == Cell::kSlots;
  }
  static constexpr int gates_of_matrix(int matrix) {
    int gates = 0;
    for (int i = 0; i < kFeeds; ++i)
      if (Cell::kFeeds.at[i].matrix == matrix) {
        const Slots s = Cell::kFeeds.at[i].slots;
        gates = gates > s.gate + s.count ? gates : s.gate + s.count;
      }
    return gates;
  }
};

// Calls f(constant) for 0 .. n - 1, each a compile-time constant.
template <int k>
struct Constant {
  static constexpr int value = k;
  constexpr operator int() const { return k; }
};
template <int n, int k = 0, class F>
static inline __attribute__((always_inline)) void for_constants(F&& f) {
  if constexpr (k < n) {
    f(Constant<k>{});
    for_constants<n, k + 1>(static_cast<F&&>(f));
  }
}

}  // namespace fastrnn::FASTRNN_ISA
