// recurrent_forward, recurrent_backward, explain: one layer, one direction.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/cpu.h"
#include "base/planner.h"
#include "base/threads.h"
#include "bindings/args.h"
#include "bindings/module.h"
#include "dispatch.h"

namespace fastrnn::bindings {
namespace {

// What forward keeps for backward; used up by one call of it.
struct Saved {
  int cell;
  bool float32, batch_first;
  Shape shape;
  Plan backward;
  Block saved, stash;
  Tokens tokens;
  bool used = false;
};

int find_cell(const std::string& name) {
  std::string known;
  for (int i = 0; i < kCells; ++i) {
    const char* candidate = kernels().f32.recurrent[i].info.name;
    if (name == candidate) return i;
    known += (i ? ", " : "") + std::string(candidate);
  }
  fail_value("cell", "one of " + known, "'" + name + "'");
}

Decision plan_for(const Shape& shape, int gates, std::size_t element, int threads) {
  return decide(shape, gates, static_cast<ptrdiff_t>(element),
                {threads, static_cast<ptrdiff_t>(l2_bytes()), kernels().vector_bytes});
}

// The arrays of one call, checked.  Weights decide the sizes; everything else has to agree.
template <class T>
struct Arguments {
  const RecurrentKernels<T>& kernel;
  Shape shape{};
  py::array x;
  py::array table;
  Tokens tokens;
  std::array<py::array, 4> weights;
  std::array<py::array, kMaxStates> state;
  Block zeros;

  static constexpr const char* kNames[4] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
  static constexpr const char* kStateNames[kMaxStates] = {"state[0]", "state[1]"};

  Arguments(int cell, py::handle x_value, py::handle table_value, const py::tuple& weight_values,
            py::handle state_value, bool batch_first, const Saved* saved)
      : kernel(kernels().of<T>().recurrent[cell]) {
    take_weights(weight_values);
    if (table_value.is_none()) {
      x = input<T>(x_value, "x");
      check_shape(x, "x", {-1, -1, shape.inputs}, batch_first ? "(B, T, I)" : "(T, B, I)");
      shape.steps = x.shape(batch_first ? 1 : 0);
      shape.rows = x.shape(batch_first ? 0 : 1);
    } else {
      table = input<T>(table_value, "table");
      check_shape(table, "table", {-1, shape.inputs}, "(V, I)");
      if (stride<T>(table, 0) != shape.inputs && table.shape(0) > 1) table = py::array(table.attr("copy")());
      shape.vocabulary = table.shape(0);
      take_tokens(x_value, batch_first, saved);
    }
    if (shape.rows == 0) fail_value("x", "at least one row (B >= 1)", text(shape_of(array(x_value, "x"))));
    take_state(state_value);
  }

  void take_weights(const py::tuple& values) {
    if (values.size() != 4) fail_value("weights", "4 arrays (the biases may be None)", std::to_string(values.size()));
    const ptrdiff_t gates = kernel.info.gates;
    for (std::size_t i = 0; i < 2; ++i) {
      weights[i] = input<T>(values[i], kNames[i]);
      check_shape(weights[i], kNames[i], {-1, -1}, i == 0 ? "(G*H, I)" : "(G*H, H)");
    }
    shape.hidden = weights[1].shape(1);
    shape.inputs = weights[0].shape(1);
    if (shape.hidden == 0 || shape.inputs == 0)
      fail_value("weights", "I >= 1 and H >= 1", text({shape.inputs, shape.hidden}));
    check_shape(weights[0], kNames[0], {gates * shape.hidden, shape.inputs}, "(G*H, I)");
    check_shape(weights[1], kNames[1], {gates * shape.hidden, shape.hidden}, "(G*H, H)");
    for (std::size_t i = 2; i < 4; ++i)
      if (!values[i].is_none()) {
        weights[i] = input<T>(values[i], kNames[i]);
        check_shape(weights[i], kNames[i], {gates * shape.hidden}, "(G*H,)");
      }
    for (py::array& w : weights)
      if (w && w.size() > 0 && !(w.flags() & py::array::c_style)) w = py::array(w.attr("copy")());
    has_bias = {!values[2].is_none(), !values[3].is_none()};
  }

  void take_tokens(py::handle value, bool batch_first, const Saved* saved) {
    const py::array a = array(value, "x");
    if (a.ndim() != 2)
      fail_value("x", batch_first ? "tokens of shape (B, T)" : "tokens of shape (T, B)", text(shape_of(a)));
    if (saved == nullptr) {
      tokens = bindings::tokens(value, "x", batch_first, shape.vocabulary);
      shape.steps = tokens.outer;
      shape.rows = tokens.inner;
    } else {
      shape.steps = a.shape(batch_first ? 1 : 0);
      shape.rows = a.shape(batch_first ? 0 : 1);
    }
  }

  void take_state(py::handle value) {
    const auto states = static_cast<std::size_t>(kernel.info.states);
    if (value.is_none()) {
      const std::size_t bytes = static_cast<std::size_t>(shape.hidden) * sizeof(T);
      zeros = acquire(bytes, "initial state");
      std::memset(zeros.data(), 0, bytes);
      return;
    }
    const py::tuple values = states_tuple(value, "state", states);
    for (std::size_t i = 0; i < states; ++i) {
      state[i] = input<T>(values[i], kStateNames[i]);
      check_shape(state[i], kStateNames[i], {shape.rows, shape.hidden}, "(B, H)");
    }
    has_state = true;
  }

  static py::tuple states_tuple(py::handle value, const char* name, std::size_t states) {
    if (!py::isinstance<py::tuple>(value) && !py::isinstance<py::list>(value))
      fail_type(name, "a tuple of " + std::to_string(states) + " arrays",
                py::str(py::type::handle_of(value).attr("__name__")).cast<std::string>());
    py::tuple values(py::reinterpret_borrow<py::sequence>(value));
    if (values.size() != states) fail_value(name, std::to_string(states) + " arrays", std::to_string(values.size()));
    return values;
  }

  template <class Call>
  void fill(Call& call, bool batch_first) const {
    call.shape = shape;
    if (shape.vocabulary == 0)
      call.x = rows3<T>(x, batch_first);
    else
      call.table = pointer<T>(table);
    call.weights = {pointer<T>(weights[0]), pointer<T>(weights[1]), has_bias[0] ? pointer<T>(weights[2]) : nullptr,
                    has_bias[1] ? pointer<T>(weights[3]) : nullptr};
    for (std::size_t i = 0; i < static_cast<std::size_t>(kernel.info.states); ++i) {
      call.initial[i] = has_state ? pointer<T>(state[i]) : zeros.as<const T>();
      call.initial_stride[i] = has_state ? stride<T>(state[i], 0) : 0;
    }
    call.interrupted = &interrupted;
  }

  std::array<bool, 2> has_bias{};
  bool has_state = false;
};

template <class T>
Block block_of(ptrdiff_t elements, const char* what) {
  return acquire(static_cast<std::size_t>(elements) * sizeof(T), what);
}

Dims sequence_dims(const Shape& s, ptrdiff_t columns, bool batch_first) {
  return batch_first ? Dims{s.rows, s.steps, columns} : Dims{s.steps, s.rows, columns};
}

// Refuses shapes whose buffers could not be addressed, before any size is computed from them.
template <class T>
void check_size(const Shape& s, int gates) {
  bytes_of({s.steps + 1, s.rows, (s.hidden + kBlock) * (gates + 1)}, 2 * sizeof(T), "saved");
}

template <class T>
py::tuple forward(int cell, py::handle x, py::handle table, const py::tuple& weights, py::handle state,
                  bool batch_first, bool keep) {
  Arguments<T> a(cell, x, table, weights, state, batch_first, nullptr);
  check_size<T>(a.shape, a.kernel.info.gates);
  const Decision plan = plan_for(a.shape, a.kernel.info.gates, sizeof(T), usable_threads());
  const Sizes sizes = a.kernel.forward_sizes(a.shape, plan.forward, keep);
  py::array y = pooled<T>(sequence_dims(a.shape, a.shape.hidden, batch_first), "y");
  auto kept = std::make_unique<Saved>();
  kept->saved = block_of<T>(sizes.saved, "saved");
  kept->stash = block_of<T>(sizes.stash, "saved states");
  const Block scratch = block_of<T>(sizes.scratch, "packed weights");

  Forward<T> call{};
  a.fill(call, batch_first);
  call.plan = plan.forward;
  call.keep = keep;
  call.tokens = a.shape.vocabulary == 0 ? nullptr : a.tokens.data();
  call.y = mutable_rows3<T>(y, batch_first);
  py::tuple final_state(static_cast<std::size_t>(a.kernel.info.states));
  for (std::size_t i = 0; i < final_state.size(); ++i) {
    py::array s = pooled<T>({a.shape.rows, a.shape.hidden}, "state");
    call.final[i] = mutable_pointer<T>(s);
    final_state[i] = s;
  }
  call.saved = kept->saved.as<T>();
  call.stash = kept->stash.as<T>();
  call.scratch = scratch.as<T>();
  bool left_early;
  {
    const py::gil_scoped_release release;
    left_early = a.kernel.forward(call);
  }
  if (left_early) throw py::error_already_set();
  y.attr("setflags")(py::arg("write") = false);
  if (!keep) return py::make_tuple(y, final_state, py::none());
  kept->cell = cell;
  kept->float32 = std::is_same_v<T, float>;
  kept->batch_first = batch_first;
  kept->shape = a.shape;
  kept->backward = plan.backward;
  kept->tokens = std::move(a.tokens);
  return py::make_tuple(y, final_state, py::cast(std::move(kept)));
}

template <class T>
T* gradient(const py::tuple& grads, std::size_t i, const py::array& weight, const char* name) {
  if (grads[i].is_none()) return nullptr;
  const py::array g = output<T>(grads[i], name);
  check_shape(g, name, shape_of(weight), "of its weight");
  return mutable_pointer<T>(g);
}

template <class T>
py::tuple backward(Saved& saved, py::handle x, py::handle table, const py::tuple& weights, py::handle state,
                   py::handle y_value, py::handle dy_value, py::handle dstate_value, const py::tuple& grads,
                   py::handle dtable_value, bool want_dx) {
  const bool batch_first = saved.batch_first;
  const Arguments<T> a(saved.cell, x, table, weights, state, batch_first, &saved);
  const Shape& s = a.shape;
  if (s.steps != saved.shape.steps || s.rows != saved.shape.rows || s.hidden != saved.shape.hidden ||
      s.inputs != saved.shape.inputs || s.vocabulary != saved.shape.vocabulary)
    fail_value("saved", "the arrays of its forward call", "arrays of other shapes");
  if (grads.size() != 4) fail_value("grads", "4 arrays or None", std::to_string(grads.size()));
  const Dims y_dims = sequence_dims(s, s.hidden, batch_first);
  const char* y_symbols = batch_first ? "(B, T, H)" : "(T, B, H)";
  const py::array y = input<T>(y_value, "y");
  check_shape(y, "y", y_dims, y_symbols);

  Backward<T> call{};
  a.fill(call, batch_first);
  call.plan = saved.backward;
  call.tokens = s.vocabulary == 0 ? nullptr : saved.tokens.data();
  call.y = rows3<T>(y, batch_first);
  call.saved = saved.saved.as<T>();
  call.stash = saved.stash.as<const T>();
  py::array dy;
  if (!dy_value.is_none()) {
    dy = input<T>(dy_value, "dy");
    check_shape(dy, "dy", y_dims, y_symbols);
    call.dy = rows3<T>(dy, batch_first);
  }
  const auto states = static_cast<std::size_t>(a.kernel.info.states);
  std::array<py::array, kMaxStates> dfinal;
  if (!dstate_value.is_none()) {
    constexpr const char* kNames[kMaxStates] = {"dstate[0]", "dstate[1]"};
    const py::tuple values = Arguments<T>::states_tuple(dstate_value, "dstate", states);
    for (std::size_t i = 0; i < states; ++i) {
      if (values[i].is_none()) continue;
      dfinal[i] = input<T>(values[i], kNames[i]);
      check_shape(dfinal[i], kNames[i], {s.rows, s.hidden}, "(B, H)");
      if (!(dfinal[i].flags() & py::array::c_style)) dfinal[i] = py::array(dfinal[i].attr("copy")());
      call.dfinal[i] = pointer<T>(dfinal[i]);
    }
  }
  call.grads = {gradient<T>(grads, 0, a.weights[0], "dweight_ih"), gradient<T>(grads, 1, a.weights[1], "dweight_hh"),
                a.has_bias[0] ? gradient<T>(grads, 2, a.weights[2], "dbias_ih") : nullptr,
                a.has_bias[1] ? gradient<T>(grads, 3, a.weights[3], "dbias_hh") : nullptr};
  py::array dtable;
  if (s.vocabulary != 0 && !dtable_value.is_none()) {
    dtable = output<T>(dtable_value, "dtable");
    check_shape(dtable, "dtable", {s.vocabulary, s.inputs}, "(V, I)");
    call.dtable = mutable_pointer<T>(dtable);
  }
  py::object dx = py::none();
  if (want_dx && s.vocabulary == 0) {
    py::array array = pooled<T>(sequence_dims(s, s.inputs, batch_first), "dx");
    call.dx = mutable_rows3<T>(array, batch_first);
    dx = array;
  }
  py::tuple dinitial(states);
  for (std::size_t i = 0; i < states; ++i) {
    py::array d = pooled<T>({s.rows, s.hidden}, "dstate");
    call.dinitial[i] = mutable_pointer<T>(d);
    dinitial[i] = d;
  }
  const Sizes sizes = a.kernel.backward_sizes(s, call.plan);
  const Block scratch = block_of<T>(sizes.scratch, "packed weights");
  call.scratch = scratch.as<T>();
  saved.used = true;
  bool left_early;
  {
    const py::gil_scoped_release release;
    left_early = a.kernel.backward(call);
  }
  saved.saved = Block();
  saved.stash = Block();
  if (left_early) throw py::error_already_set();
  return py::make_tuple(dx, dinitial);
}

}  // namespace

void bind_recurrent(py::module_& m) {
  py::class_<Saved>(m, "Saved").def_property_readonly("used", [](const Saved& s) { return s.used; });
  m.def(
      "recurrent_forward",
      [](const std::string& cell, py::handle x, py::handle table, const py::tuple& weights, py::handle state,
         bool batch_first, bool keep) {
        const int index = find_cell(cell);
        if (weights.size() == 0) fail_value("weights", "4 arrays (the biases may be None)", "0");
        return is_float32(weights[0], "weight_ih")
                   ? forward<float>(index, x, table, weights, state, batch_first, keep)
                   : forward<double>(index, x, table, weights, state, batch_first, keep);
      },
      py::arg("cell"), py::arg("x"), py::arg("table").none(true), py::arg("weights"), py::arg("state").none(true),
      py::arg("batch_first"), py::arg("keep"));
  m.def(
      "recurrent_backward",
      [](Saved& saved, py::handle x, py::handle table, const py::tuple& weights, py::handle state, py::handle y,
         py::handle dy, py::handle dstate, const py::tuple& grads, py::handle dtable, bool want_dx) {
        if (saved.used) throw std::runtime_error("saved: a pullback can be used once, and this one has been");
        return saved.float32 ? backward<float>(saved, x, table, weights, state, y, dy, dstate, grads, dtable, want_dx)
                             : backward<double>(saved, x, table, weights, state, y, dy, dstate, grads, dtable, want_dx);
      },
      py::arg("saved"), py::arg("x"), py::arg("table").none(true), py::arg("weights"), py::arg("state").none(true),
      py::arg("y"), py::arg("dy").none(true), py::arg("dstate").none(true), py::arg("grads"),
      py::arg("dtable").none(true), py::arg("want_dx"));
  m.def(
      "explain",
      [](const std::string& cell, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t hidden,
         std::optional<int> threads, const std::string& dtype) {
        const int index = find_cell(cell);
        for (const auto& [name, value] : {std::pair{"T", steps}, {"B", rows}, {"I", inputs}, {"H", hidden}})
          if (value < 1) fail_value(name, "a positive integer", std::to_string(value));
        if (threads && *threads < 1) fail_value("threads", "a positive integer", std::to_string(*threads));
        if (dtype != "float32" && dtype != "float64") fail_value("dtype", "float32 or float64", "'" + dtype + "'");
        const std::size_t element = dtype == "float32" ? sizeof(float) : sizeof(double);
        const int gates = kernels().f32.recurrent[index].info.gates;
        const Decision d =
            plan_for({steps, rows, inputs, hidden, 0}, gates, element, threads.value_or(usable_threads()));
        py::dict out;
        out["threads"] = d.forward.threads();
        out["row_groups"] = d.forward.row_groups;
        out["unit_groups"] = d.forward.unit_groups;
        out["forward_chunk"] = d.forward.chunk;
        out["backward_chunk"] = d.backward.chunk;
        out["barriers_per_step"] = d.forward.unit_groups > 1 ? 1 : 0;
        out["predicted_share"] = d.predicted_share;
        out["flops"] = 6.0 * static_cast<double>(steps) * static_cast<double>(rows) * gates *
                       static_cast<double>(hidden) * static_cast<double>(inputs + hidden);
        out["isa"] = kernels().name;
        return out;
      },
      py::arg("cell"), py::arg("T"), py::arg("B"), py::arg("I"), py::arg("H"), py::arg("threads") = py::none(),
      py::arg("dtype") = "float32");
}

}  // namespace fastrnn::bindings
