// recurrent_forward and recurrent_backward: one layer, one direction.
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>

#include "bindings/held.h"
#include "bindings/module.h"
#include "bindings/noise.h"

namespace fastrnn::bindings {
namespace {

// Refuses shapes whose buffers could not be addressed, before any size is computed from them.
template <class T>
void check_size(const Shape& s, int slots) {
  bytes_of({s.steps + 1, s.rows, (s.hidden + kBlock) * (slots + 1)}, 2 * sizeof(T), "saved");
}

// The array that the caller gave for a result, a part of a larger one perhaps; else a new one.
template <class T>
py::array result(py::handle given, const char* name, const Dims& dims, const char* letters) {
  return given.is_none() ? pooled<T>(dims, name) : part<T>(given, name, dims, letters);
}

// A sequence of c, of the level below or of this one, or a gradient by it.
template <class T>
py::array cells_of(const Arguments<T>& a, py::handle value, const char* name) {
  if (a.info.states < 2) fail_type(name, "None for a cell without c", "an array");
  py::array cells = input<T>(value, name);
  check_shape(cells, name, a.sequence_dims(a.shape.hidden), a.shape.ragged() ? "(N, H)" : "like y");
  return cells;
}

// What a cell reads besides x.
template <class T>
Array side_of(const Arguments<T>& a, py::handle value) {
  if (!a.info.side && !value.is_none()) fail_type("side", "None for this cell", "an array");
  if (value.is_none()) return {};
  return cells_of(a, value, "side");
}

// The scratch of a pass.  Panels that each row group has of its own lie apart: what a core has written comes from far
// for another one, and each pass shares out the rest in its own way.
template <class T, class Call>
std::pair<Block, Block> lend_scratch(Call& call, const Sizes& sizes) {
  if (call.plan.own_panels) {
    std::pair lent(scratch_of<T>(sizes.scratch), block_of<T>(sizes.panels, "packed weights"));
    call.scratch = lent.first.template as<T>();
    call.panels = lent.second.template as<T>();
    return lent;
  }
  Block scratch = scratch_of<T>(sizes.panels + sizes.scratch);
  call.panels = scratch.template as<T>();
  call.scratch = call.panels + sizes.panels;
  return {std::move(scratch), Block()};
}

template <class T>
py::tuple forward(int cell, py::handle x, py::handle table, const py::tuple& weights, py::handle state,
                  bool batch_first, bool keep, bool reverse, py::handle y_value, Lengths& lengths, py::handle drop,
                  py::handle zone, py::handle side_value, py::handle cells_value, bool bfloat16,
                  py::handle held_value) {
  Arguments<T> a(cell, x, table, weights, state, batch_first, reverse, lengths, nullptr);
  check_size<T>(a.shape, a.info.slots);
  const Noise<T> noise(a, drop, zone);
  const Array side = side_of(a, side_value);
  HeldInput<T> held(a, held_value);
  Tokens held_of;
  if (held.given) held_of = held.of(a);
  const Decision plan = plan_for(a.shape, a.info, sizeof(T), usable_threads(), bfloat16);
  Forward<T> call{};
  a.fill(call);
  call.plan = plan.forward;
  call.keep = keep ? plan.backward.chunk : 0;
  const Sizes sizes = a.kernel.forward_sizes(a.shape, plan.forward, call.keep);
  py::array y = result<T>(y_value, "y", a.sequence_dims(a.shape.output()), a.hidden_letters());
  auto kept = std::make_unique<Saved>();
  kept->saved = block_of<T>(sizes.saved, "saved");
  kept->stash = block_of<T>(sizes.stash, "saved states");
  kept->dropped = noise.room();
  noise.fill(call.noise, kept->dropped);
  const auto lent = lend_scratch<T>(call, sizes);
  call.tokens = a.shape.vocabulary == 0 ? nullptr : a.tokens.data();
  call.y = a.mutable_sequence(y);
  if (!side_value.is_none()) call.side = a.sequence(side);
  if (held.given) {
    held.multiply(call.weights, call.plan.pairs);
    const Rows<T> rows = held.products_view();
    call.begin = {{rows.p, rows.outer, rows.inner}, held_of.data()};
  }
  Array cells;
  if (!cells_value.is_none()) {
    cells = cells_of(a, cells_value, "cells");
    call.cells = a.mutable_sequence(result<T>(cells_value, "cells", a.sequence_dims(a.shape.hidden), "like y"));
  }
  py::tuple final_state(static_cast<std::size_t>(a.info.states));
  for (std::size_t i = 0; i < final_state.size(); ++i) {
    py::array s = pooled<T>({a.shape.rows, width_of(a.shape, i)}, "state");
    call.final[i] = mutable_pointer<T>(s);
    final_state[i] = s;
  }
  call.saved = kept->saved.as<T>();
  call.stash = kept->stash.as<T>();
  bool left_early;
  {
    const py::gil_scoped_release release;
    left_early = a.kernel.forward(call);
  }
  if (left_early) throw py::error_already_set();
  make_read_only(y);
  if (!keep) return py::make_tuple(y, final_state, py::none());
  kept->cell = cell;
  kept->float32 = std::is_same_v<T, float>;
  kept->batch_first = batch_first;
  kept->reverse = reverse;
  kept->shape = a.shape;
  kept->backward = plan.backward;
  kept->tokens = std::move(a.tokens);
  kept->held = std::move(held_of);
  if (held.given) kept->held_versions = held.x.shape(0);
  kept->lengths = std::move(lengths);  // what shape points to stays where it is
  return py::make_tuple(y, final_state, py::cast(std::move(kept)));
}

// The arrays that weight gradients are added into.
template <class T>
Gradients<T> gradients(const Arguments<T>& a, const py::tuple& grads) {
  if (grads.size() != a.number_of_weights())
    fail_value("grads", std::to_string(a.number_of_weights()) + " arrays or None", std::to_string(grads.size()));
  T* to[kMaxWeights] = {};
  for (std::size_t i = 0; i < grads.size(); ++i) {
    if (!a.given[i] || grads[i].is_none()) continue;
    const std::string name = std::string("d") + a.name_of(i);
    const py::array g = output<T>(grads[i], name);
    check_shape(g, name, shape_of(a.weights[i]), "of its weight");
    to[i] = mutable_pointer<T>(g);
  }
  const bool units = a.info.units > 0;
  return {to[0], {to[1], units ? nullptr : to[4]}, to[2], to[3], units ? to[4] : nullptr, to[5], to[6], to[7], to[8]};
}

template <class T>
py::tuple backward(Saved& saved, py::handle x, py::handle table, const py::tuple& weights, py::handle state,
                   py::handle y_value, py::handle dy_value, py::handle dstate_value, const py::tuple& grads,
                   py::handle dtable_value, bool want_dx, py::handle dx_value, bool add, py::handle drop,
                   py::handle zone, py::handle side_value, py::handle dside_value, py::handle dcells_value,
                   py::handle held_pair) {
  const Arguments<T> a(saved.cell, x, table, weights, state, saved.batch_first, saved.reverse, saved.lengths, &saved);
  const Shape& s = a.shape;
  if (s.steps != saved.shape.steps || s.rows != saved.shape.rows || s.hidden != saved.shape.hidden ||
      s.projected != saved.shape.projected || s.inputs != saved.shape.inputs || s.vocabulary != saved.shape.vocabulary)
    fail_value("saved", "the arrays of its forward call", "arrays of other shapes");
  const py::array y = input<T>(y_value, "y");
  check_shape(y, "y", a.sequence_dims(s.output()), a.hidden_letters());

  Backward<T> call{};
  a.fill(call);
  const Noise<T> noise(a, drop, zone);
  if (noise.drops != (saved.dropped.data() != nullptr)) fail_value("drop", "as in its forward call", "otherwise");
  noise.fill(call.noise, saved.dropped);
  const Array side = side_of(a, side_value);
  Array dside, dcells;
  if (!side_value.is_none()) {
    call.side = a.sequence(side);
    dside = result<T>(dside_value, "dside", a.sequence_dims(s.hidden), "of side");
    call.dside = a.mutable_sequence(dside);
  }
  py::object held_value = py::none(), dheld_value = py::none();  // what it was, and where the gradients go
  if (!held_pair.is_none()) {
    const py::tuple pair = tuple_of(held_pair, 2, "held", "a pair of tuples");
    held_value = pair[0];
    dheld_value = pair[1];
  }
  HeldInput<T> held(a, held_value);
  typename HeldInput<T>::Sums dheld;
  if (held.given != (saved.held_versions >= 0)) fail_value("held", "as in its forward call", "otherwise");
  if (held.given) {
    if (held.x.shape(0) != saved.held_versions)
      fail_value("held[0]", "V = " + std::to_string(saved.held_versions) + " as in its forward call",
                 std::to_string(held.x.shape(0)));
    dheld = held.sums(dheld_value);
    held.clear(a, saved.held);
    call.dbegin = {held.products_view(), saved.held.data()};
  }
  if (!dcells_value.is_none()) {
    dcells = cells_of(a, dcells_value, "dcells");
    call.dcells = a.sequence(dcells);
  }
  call.plan = saved.backward;
  if (call.plan.pairs != nullptr) call.plan.pairs = any_pairs();  // of the kernels that are in use now
  call.tokens = s.vocabulary == 0 ? nullptr : saved.tokens.data();
  call.y = a.sequence(y);
  call.saved = saved.saved.as<T>();
  call.stash = saved.stash.as<const T>();
  Array dy;
  if (!dy_value.is_none()) {
    dy = input<T>(dy_value, "dy");
    check_shape(dy, "dy", a.sequence_dims(s.output()), a.hidden_letters());
    call.dy = a.sequence(dy);
  }
  const auto states = static_cast<std::size_t>(a.info.states);
  std::array<Array, kMaxStates> dfinal;
  if (!dstate_value.is_none()) {
    constexpr const char* kNames[kMaxStates] = {"dstate[0]", "dstate[1]"};
    const py::tuple values = states_tuple(dstate_value, "dstate", states);
    for (std::size_t i = 0; i < states; ++i) {
      if (values[i].is_none()) continue;
      dfinal[i] = input<T>(values[i], kNames[i]);
      check_shape(dfinal[i], kNames[i], {s.rows, width_of(s, i)}, letters_of(s, i));
      if (!(dfinal[i].flags() & py::array::c_style)) dfinal[i] = py::array(dfinal[i].attr("copy")());
      call.dfinal[i] = pointer<T>(dfinal[i]);
    }
  }
  call.grads = gradients<T>(a, grads);
  Array dtable;
  if (s.vocabulary != 0 && !dtable_value.is_none()) {
    dtable = output<T>(dtable_value, "dtable");
    check_shape(dtable, "dtable", {s.vocabulary, s.inputs}, "(V, I)");
    call.dtable = mutable_pointer<T>(dtable);
  }
  py::object dx = py::none();
  if (want_dx && s.vocabulary == 0) {
    if (add && dx_value.is_none()) fail_value("dx", "an array to add to", "None");
    py::array array = result<T>(dx_value, "dx", a.sequence_dims(s.inputs), "of x");
    call.dx = a.mutable_sequence(array);
    call.add_dx = add;
    dx = array;
  }
  py::tuple dinitial(states);
  for (std::size_t i = 0; i < states; ++i) {
    py::array d = pooled<T>({s.rows, width_of(s, i)}, "dstate");
    call.dinitial[i] = mutable_pointer<T>(d);
    dinitial[i] = d;
  }
  const Sizes sizes = a.kernel.backward_sizes(s, call.plan);
  const auto lent = lend_scratch<T>(call, sizes);
  saved.used = true;
  bool left_early;
  {
    const py::gil_scoped_release release;
    left_early = a.kernel.backward(call);
  }
  saved.saved = Block();
  saved.stash = Block();
  saved.dropped = Block();
  if (left_early) throw py::error_already_set();
  if (held.given) held.add(dheld, call.plan.pairs);
  return py::make_tuple(dx, dinitial);
}

}  // namespace

void bind_recurrent(py::module_& m) {
  py::class_<Saved>(m, "Saved").def_property_readonly("used", [](const Saved& s) { return s.used; });
  m.def(
      "recurrent_forward",
      [](const std::string& cell, py::handle x, py::handle table, const py::tuple& weights, py::handle state,
         bool batch_first, bool keep, bool reverse, py::handle y, py::handle lengths_value, py::handle drop,
         py::handle zone, py::handle side, py::handle cells, bool bfloat16, py::handle held) {
        const int index = find_cell(cell);
        if (weights.size() == 0) fail_value("weights", "4 arrays (the biases may be None)", "0");
        const auto run = is_float32(weights[0], "weight_ih") ? &forward<float> : &forward<double>;
        Lengths lengths(lengths_value, x);
        return run(index, x, table, weights, state, batch_first, keep, reverse, y, lengths, drop, zone, side, cells,
                   bfloat16, held);
      },
      py::arg("cell"), py::arg("x"), py::arg("table").none(true), py::arg("weights"), py::arg("state").none(true),
      py::arg("batch_first"), py::arg("keep"), py::arg("reverse") = false, py::arg("y") = py::none(),
      py::arg("lengths") = py::none(), py::arg("drop") = py::none(), py::arg("zone") = py::none(),
      py::arg("side") = py::none(), py::arg("cells") = py::none(), py::arg("bfloat16") = false,
      py::arg("held") = py::none());
  m.def(
      "recurrent_backward",
      [](Saved& saved, py::handle x, py::handle table, const py::tuple& weights, py::handle state, py::handle y,
         py::handle dy, py::handle dstate, const py::tuple& grads, py::handle dtable, bool want_dx, py::handle dx,
         bool add, py::handle drop, py::handle zone, py::handle side, py::handle dside, py::handle dcells,
         py::handle held) {
        if (saved.used) throw std::runtime_error("saved: a pullback can be used once, and this one has been");
        const auto run = saved.float32 ? &backward<float> : &backward<double>;
        return run(saved, x, table, weights, state, y, dy, dstate, grads, dtable, want_dx, dx, add, drop, zone, side,
                   dside, dcells, held);
      },
      py::arg("saved"), py::arg("x"), py::arg("table").none(true), py::arg("weights"), py::arg("state").none(true),
      py::arg("y"), py::arg("dy").none(true), py::arg("dstate").none(true), py::arg("grads"),
      py::arg("dtable").none(true), py::arg("want_dx"), py::arg("dx") = py::none(), py::arg("add") = false,
      py::arg("drop") = py::none(), py::arg("zone") = py::none(), py::arg("side") = py::none(),
      py::arg("dside") = py::none(), py::arg("dcells") = py::none(), py::arg("held") = py::none());
}

}  // namespace fastrnn::bindings
