// What a call does to its states besides the cell: dropout of h in products, zoneout.
#pragma once

#include "bindings/recurrent_args.h"

namespace fastrnn::bindings {

// Zoneout by one number for each state, the same at all steps, as [states, H].
template <class T>
Block zone_rows(const CellInfo& info, const Shape& shape, py::handle values) {
  if (values.is_none()) return {};
  if (info.sees_made_states) fail_value("zone", "None for a cell whose gates see c'", "a tuple");
  Block rows = block_of<T>(info.states * shape.hidden, "zoneout");
  const py::tuple shares = states_tuple(values, "zone", static_cast<std::size_t>(info.states));
  for (ptrdiff_t j = 0; j < info.states; ++j) {
    const py::object share = shares[static_cast<std::size_t>(j)];
    const T value = py::isinstance<py::float_>(share) ? static_cast<T>(share.cast<double>()) : T(0);
    for (ptrdiff_t i = 0; i < shape.hidden; ++i) rows.as<T>()[j * shape.hidden + i] = value;
  }
  return rows;
}
template <class T>
void fill_zones(StateNoise<T>& noise, const Block& rows, const CellInfo& info, const Shape& shape) {
  if (rows.data() == nullptr) return;
  for (ptrdiff_t j = 0; j < info.states; ++j) noise.zone[j] = {rows.as<const T>() + j * shape.hidden, 0, 0};
}

// What a call is to do to its states besides the cell: a mask [B, P] of what products read of h, and how much of each
// state stays as it was: a number or a sequence.
template <class T>
struct Noise {
  const Arguments<T>& a;
  Array drop;
  std::array<Array, kMaxStates> zone;
  std::array<bool, kMaxStates> varies{};
  Block rows;
  bool drops = false;

  Noise(const Arguments<T>& arguments, py::handle drop_value, py::handle zone_values)
      : a(arguments), rows(zone_rows<T>(a.info, a.shape, zone_values)) {
    if (!zone_values.is_none()) take_zones(py::tuple(py::reinterpret_borrow<py::sequence>(zone_values)));
    if (drop_value.is_none()) return;
    if (a.info.recurrent_gates[0] == 0) fail_type("drop", "None for a cell without recurrent products", "an array");
    drop = input<T>(drop_value, "drop");
    check_shape(drop, "drop", {a.shape.rows, a.shape.output()}, letters_of(a.shape, 0));
    drops = true;
  }
  void take_zones(const py::tuple& values) {
    for (std::size_t j = 0; j < values.size(); ++j) {
      if (!py::isinstance<py::array>(values[j])) continue;
      zone[j] = input<T>(values[j], "zone");
      check_shape(zone[j], "zone", a.sequence_dims(width_of(a.shape, j)), "like y, as wide as its state");
      varies[j] = true;
    }
  }
  // A block for what products read of h: forward's to fill.
  Block room() const {
    if (!drops) return {};
    const ptrdiff_t row = round_to_block(a.shape.output());
    return block_of<T>((a.shape.rows + a.shape.between(0, a.shape.steps)) * row, "dropout of states");
  }
  void fill(StateNoise<T>& noise, const Block& dropped) const {
    fill_zones(noise, rows, a.info, a.shape);
    for (std::size_t j = 0; j < kMaxStates; ++j)
      if (varies[j]) noise.zone[j] = a.sequence(zone[j]);
    if (!drops) return;
    noise.drop = {pointer<T>(drop), 0, stride<T>(drop, 0)};
    noise.dropped = dropped.as<T>();
  }
};

}  // namespace fastrnn::bindings
