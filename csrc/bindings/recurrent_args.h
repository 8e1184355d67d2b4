// The arguments of recurrent_forward and recurrent_backward, checked.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "bindings/args.h"
#include "dispatch.h"

namespace fastrnn::bindings {

// Lengths of the rows of a batch whose sequences are stored without padding.
struct Lengths {
  std::vector<ptrdiff_t> of;      // [B], descending; empty: all rows are as long
  std::vector<ptrdiff_t> places;  // see Shape

  Lengths() = default;
  Lengths(py::handle value, py::handle x) {
    if (value.is_none()) return;
    const Dims stored = shape_of(array(x, "x"));  // (N, I) or (N,): one element for each step of each row
    const py::array a = array(value, "lengths");
    if (a.ndim() != 1 || !py::isinstance<py::array_t<std::int64_t>>(a) || a.size() == 0)
      fail_value("lengths", "an int64 array of shape (B,), B >= 1", text(shape_of(a)));
    if (a.size() >= ptrdiff_t{1} << 31) fail_value("lengths", "fewer than 2**31 rows", text(shape_of(a)));
    const auto values = py::array_t<std::int64_t>(a).unchecked<1>();
    for (py::ssize_t b = 0; b < values.size(); ++b) {
      if (values(b) < 0 || (b > 0 && values(b) > values(b - 1)))
        fail_value("lengths", "descending numbers >= 0", std::to_string(values(b)));
      of.push_back(values(b));
    }
    if (stored.empty() || of[0] > stored[0])
      fail_value("lengths", "as many steps as x of shape " + text(stored) + " has", std::to_string(of[0]));
    places.assign(static_cast<std::size_t>(of[0]) + 1, 0);
    for (const ptrdiff_t n : of)
      if (n > 0) ++places[static_cast<std::size_t>(n) - 1];  // rows that end with this step
    ptrdiff_t rows = 0;                                      // of the step
    for (std::size_t t = places.size() - 1; t-- > 0;) {
      rows += places[t];
      places[t] = places[t + 1] + rows;
    }
  }
  bool given() const { return !of.empty(); }
  void fill(Shape& shape) const {
    shape.rows = static_cast<ptrdiff_t>(of.size());
    shape.steps = of[0];
    shape.lengths = of.data();
    shape.places = places.data();
  }
};

// How wide a state is.
inline ptrdiff_t width_of(const Shape& shape, std::size_t state) { return state == 0 ? shape.output() : shape.hidden; }
inline const char* letters_of(const Shape& shape, std::size_t state) {
  return state == 0 && shape.projected != 0 ? "(B, P)" : "(B, H)";
}

// What forward keeps for backward; used up by one call of it.
struct Saved {
  int cell;
  bool float32, batch_first, reverse;
  Shape shape;
  Plan backward;
  Block saved, stash, dropped;
  Tokens tokens, held;
  ptrdiff_t held_versions = -1;  // of which `held` names one for each step; none: -1
  Lengths lengths;
  bool used = false;
};

// In the order of the tuples that Python gives.
inline constexpr std::size_t kMaxWeights = 9;
inline constexpr const char* kWeightNames[kMaxWeights] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ch",
                                                          "gain_ih",   "gain_hh",   "gain_ch", "bias_ch"};

// The weights of one call, checked.  They decide the sizes; everything else has to agree.
template <class T>
struct Weighed {
  const RecurrentKernels<T>& kernel;
  const CellInfo& info;
  Shape shape{};
  std::array<Array, kMaxWeights> weights;
  std::array<bool, kMaxWeights> given{};

  const char* name_of(std::size_t i) const { return i == 4 && info.projects ? "weight_hr" : kWeightNames[i]; }

  Weighed(int cell, const py::tuple& values) : kernel(kernels().of<T>().recurrent[cell]), info(kernel.info) {
    take_weights(values);
  }

  // Matrix 1, a projection or not, or the parameters that each unit has of its own; no cell has both.
  ptrdiff_t more_gates() const { return info.units + info.recurrent_gates[1]; }
  std::size_t number_of_weights() const { return info.by_row ? kMaxWeights : more_gates() > 0 ? 5 : 4; }

  // The shape of a weight, or nothing if the cell has none of that kind.
  Dims dims_of(std::size_t i) const {
    const ptrdiff_t h = shape.hidden, gates = info.recurrent_gates[0];
    if (i == 0) return {info.gates * h, shape.inputs};
    if (i == 2) return {info.gates * h};
    if (i == 1) return gates == 0 ? Dims{} : Dims{gates * h, shape.output()};
    if (i == 3) return gates == 0 ? Dims{} : Dims{gates * h};
    if (i == 5 || i == 6) return dims_of(i - 3);
    if (i >= 7) return info.inner == 0 ? Dims{} : Dims{info.inner * h};
    if (info.units > 0) return {info.units * h};
    if (info.projects) return {shape.output(), h};
    return info.recurrent_gates[1] > 0 ? Dims{info.recurrent_gates[1] * h, h} : Dims{};
  }
  const char* letters(std::size_t i, const Dims& dims) const {
    if (dims.size() == 1) return "(G*H,)";
    if (info.projects && i > 0) return i == 1 ? "(G*H, P)" : "(P, H)";
    return i == 0 ? "(G*H, I)" : "(G*H, H)";
  }

  void take_weights(const py::tuple& values) {
    if (values.size() != number_of_weights())
      fail_value("weights", std::to_string(number_of_weights()) + " arrays (the biases may be None)",
                 std::to_string(values.size()));
    weights[0] = input<T>(values[0], name_of(0));
    check_shape(weights[0], name_of(0), {-1, -1}, "(G*H, I)");
    shape.hidden = weights[0].shape(0) / info.gates;
    if (info.recurrent_gates[0] > 0) {
      const py::array hidden = input<T>(values[1], name_of(1));
      check_shape(hidden, name_of(1), {-1, -1}, info.projects ? "(G*H, P)" : "(G*H, H)");
      (info.projects ? shape.projected : shape.hidden) = hidden.shape(1);
    }
    shape.inputs = weights[0].shape(1);
    if (shape.hidden == 0 || shape.inputs == 0)
      fail_value("weights", "I >= 1 and H >= 1", text({shape.inputs, shape.hidden}));
    if (info.projects && (shape.projected == 0 || shape.projected > shape.hidden))
      fail_value("weight_hh", "(G*H, P) with 1 <= P <= H = " + std::to_string(shape.hidden),
                 text(shape_of(array(values[1], "weight_hh"))));
    for (std::size_t i = 0; i < number_of_weights(); ++i) {
      const Dims dims = dims_of(i);
      const bool bias = kWeightNames[i][0] == 'b';
      if (dims.empty() && !values[i].is_none()) fail_type(name_of(i), "None for this cell", "an array");
      if (dims.empty() || (bias && values[i].is_none())) continue;
      weights[i] = input<T>(values[i], name_of(i));
      check_shape(weights[i], name_of(i), dims, letters(i, dims));
      if (weights[i].size() > 0 && !(weights[i].flags() & py::array::c_style))
        weights[i] = py::array(weights[i].attr("copy")());
      given[i] = true;
    }
  }

  template <class Call>
  void fill(Call& call) const {
    const auto weight = [&](std::size_t i) { return given[i] ? pointer<T>(weights[i]) : nullptr; };
    const bool units = info.units > 0;
    call.weights = {weight(0),
                    {weight(1), units ? nullptr : weight(4)},
                    weight(2),
                    weight(3),
                    units ? weight(4) : nullptr,
                    weight(5),
                    weight(6),
                    weight(7),
                    weight(8)};
  }
};

inline py::tuple states_tuple(py::handle value, const char* name, std::size_t states) {
  if (!py::isinstance<py::tuple>(value) && !py::isinstance<py::list>(value))
    fail_type(name, "a tuple of " + std::to_string(states) + " arrays", type_name(value));
  py::tuple values(py::reinterpret_borrow<py::sequence>(value));
  if (values.size() != states) fail_value(name, std::to_string(states) + " arrays", std::to_string(values.size()));
  return values;
}

// The initial states of one call: arrays, or zeros.
template <class T>
struct InitialStates {
  std::array<Array, kMaxStates> state;
  Block zeros;
  std::size_t states;
  bool given = false;

  static constexpr const char* kNames[kMaxStates] = {"state[0]", "state[1]"};

  InitialStates(const CellInfo& info, const Shape& shape, py::handle value)
      : states(static_cast<std::size_t>(info.states)) {
    if (value.is_none()) {
      const std::size_t bytes = static_cast<std::size_t>(shape.hidden) * sizeof(T);
      zeros = acquire(bytes, "initial state");
      std::memset(zeros.data(), 0, bytes);
      return;
    }
    const py::tuple values = states_tuple(value, "state", states);
    for (std::size_t i = 0; i < states; ++i) {
      state[i] = input<T>(values[i], kNames[i]);
      check_shape(state[i], kNames[i], {shape.rows, width_of(shape, i)}, letters_of(shape, i));
    }
    given = true;
  }

  template <class Call>
  void fill(Call& call) const {
    for (std::size_t i = 0; i < states; ++i) {
      call.initial[i] = given ? pointer<T>(state[i]) : zeros.as<const T>();
      call.initial_stride[i] = given ? stride<T>(state[i], 0) : 0;
    }
  }
};

// The arrays of one call, checked.
template <class T>
struct Arguments : Weighed<T> {
  using Weighed<T>::shape;
  const bool batch_first, reverse;
  Array x, table;
  Tokens tokens;
  std::optional<InitialStates<T>> initial;

  Arguments(int cell, py::handle x_value, py::handle table_value, const py::tuple& weight_values,
            py::handle state_value, bool batch_first_value, bool reverse_value, const Lengths& lengths,
            const Saved* saved)
      : Weighed<T>(cell, weight_values), batch_first(batch_first_value), reverse(reverse_value) {
    if (lengths.given()) lengths.fill(shape);
    if (table_value.is_none() && shape.ragged()) {
      x = input<T>(x_value, "x");
      check_shape(x, "x", {lengths.places[0], shape.inputs}, "(N, I)");
    } else if (table_value.is_none()) {
      x = input<T>(x_value, "x");
      check_shape(x, "x", {-1, -1, shape.inputs}, batch_first ? "(B, T, I)" : "(T, B, I)");
      shape.steps = x.shape(batch_first ? 1 : 0);
      shape.rows = x.shape(batch_first ? 0 : 1);
    } else {
      table = input<T>(table_value, "table");
      check_shape(table, "table", {-1, shape.inputs}, "(V, I)");
      if (table.shape(0) == 0) fail_value("table", "V >= 1", "0");
      if (stride<T>(table, 0) != shape.inputs && table.shape(0) > 1) table = py::array(table.attr("copy")());
      shape.vocabulary = table.shape(0);
      take_tokens(x_value, saved);
    }
    if (shape.rows == 0) fail_value("x", "at least one row (B >= 1)", text(shape_of(array(x_value, "x"))));
    initial.emplace(this->info, shape, state_value);
  }

  void take_tokens(py::handle value, const Saved* saved) {
    const py::array a = array(value, "x");
    if (shape.ragged()) {
      if (a.ndim() != 1 || a.size() != shape.places[0]) fail_value("x", "tokens of shape (N,)", text(shape_of(a)));
      if (saved == nullptr) tokens = bindings::tokens(value, "x", false, shape.vocabulary);
      return;
    }
    if (a.ndim() != 2)
      fail_value("x", batch_first ? "tokens of shape (B, T)" : "tokens of shape (T, B)", text(shape_of(a)));
    if (saved == nullptr) {
      tokens = bindings::tokens(value, "x", batch_first, shape.vocabulary);
      shape.steps = tokens.outer;
      shape.rows = tokens.inner;
      if (!reverse) tokens.reverse();  // `saved` begins with the last step
    } else {
      shape.steps = a.shape(batch_first ? 1 : 0);
      shape.rows = a.shape(batch_first ? 0 : 1);
    }
  }

  Dims sequence_dims(ptrdiff_t columns) const {
    if (shape.ragged()) return {shape.places[0], columns};
    return batch_first ? Dims{shape.rows, shape.steps, columns} : Dims{shape.steps, shape.rows, columns};
  }
  const char* hidden_letters() const {
    if (shape.projected != 0) return shape.ragged() ? "(N, P)" : batch_first ? "(B, T, P)" : "(T, B, P)";
    return shape.ragged() ? "(N, H)" : batch_first ? "(B, T, H)" : "(T, B, H)";
  }

  // Rows of a sequence, from its last step on if the call runs backwards in time.
  template <class U>
  Rows<U> in_order(Rows<U> rows) const {
    if (!reverse || shape.steps == 0) return rows;
    return {rows.p + (shape.steps - 1) * rows.outer, -rows.outer, rows.inner};
  }
  Rows<const T> sequence(const py::array& a) const {
    if (shape.ragged()) return {pointer<T>(a), 0, stride<T>(a, 0)};
    return in_order(rows3<T>(a, batch_first));
  }
  Rows<T> mutable_sequence(const py::array& a) const {
    if (shape.ragged()) return {mutable_pointer<T>(a), 0, stride<T>(a, 0)};
    return in_order(mutable_rows3<T>(a, batch_first));
  }

  template <class Call>
  void fill(Call& call) const {
    Weighed<T>::fill(call);
    initial->fill(call);
    call.shape = shape;
    if (shape.vocabulary == 0)
      call.x = sequence(x);
    else
      call.table = pointer<T>(table);
    call.interrupted = &interrupted;
  }
};

}  // namespace fastrnn::bindings
