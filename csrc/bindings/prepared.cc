// Prepared: the packed weights of one layer, for inference.
#include "bindings/module.h"
#include "bindings/noise.h"
#include "bindings/plan.h"
#include "bindings/recurrent_args.h"

namespace fastrnn::bindings {
namespace {

// Immutable; calls from several threads may share it.
struct Prepared {
  int cell;
  bool float32;
  Shape shape;  // of no steps
  Plan plan;
  Block panels, scratch, zones;
};

// A forward call of no steps packs the weights and does nothing else.
template <class T>
std::unique_ptr<Prepared> prepare(int cell, const py::tuple& weights, py::handle zone, bool bfloat16) {
  Weighed<T> w(cell, weights);
  Shape shape = w.shape, step;
  shape.rows = 1;
  step = shape;
  step.steps = 1;
  Plan plan = plan_for(step, w.info, sizeof(T), usable_threads(), bfloat16).forward;
  plan.row_groups = 1;
  const Sizes sizes = w.kernel.forward_sizes(shape, plan, 0);
  auto out = std::make_unique<Prepared>(
      Prepared{cell, std::is_same_v<T, float>, shape, plan, block_of<T>(sizes.panels, "packed weights"),
               block_of<T>(sizes.scratch, "packed weights"), zone_rows<T>(w.info, shape, zone)});
  const Block stash = block_of<T>(sizes.stash, "states"), row = block_of<T>(shape.hidden, "state");
  std::memset(row.data(), 0, static_cast<std::size_t>(shape.hidden) * sizeof(T));
  const Block final = block_of<T>(shape.hidden * kMaxStates, "states");
  Forward<T> call{};
  call.shape = shape;
  call.plan = plan;
  w.fill(call);
  for (int i = 0; i < w.info.states; ++i) {
    call.initial[i] = row.as<const T>();
    call.final[i] = final.as<T>() + i * shape.hidden;
  }
  call.stash = stash.as<T>();
  call.panels = out->panels.as<T>();
  call.scratch = out->scratch.as<T>();
  call.interrupted = &interrupted;
  w.kernel.forward(call);
  return out;
}

// x: [T, B, I] or, for one step, [B, I].
template <class T>
py::tuple run(const Prepared& p, py::handle x_value, py::handle state_value) {
  const RecurrentKernels<T>& kernel = kernels().of<T>().recurrent[p.cell];
  const py::array x = input<T>(x_value, "x");
  const bool one = x.ndim() == 2;
  check_shape(x, "x", one ? Dims{-1, p.shape.inputs} : Dims{-1, -1, p.shape.inputs}, one ? "(B, I)" : "(T, B, I)");
  Shape shape = p.shape;
  shape.steps = one ? 1 : x.shape(0);
  shape.rows = x.shape(one ? 0 : 1);
  const ptrdiff_t output = shape.output();
  if (shape.rows == 0) fail_value("x", "at least one row (B >= 1)", text(shape_of(x)));
  InitialStates<T> initial(kernel.info, shape, state_value);
  Forward<T> call{};
  call.shape = shape;
  call.plan = p.plan;
  call.plan.chunk = std::max<ptrdiff_t>(1, std::min<ptrdiff_t>(shape.steps, 128 / shape.rows));
  call.x = one ? Rows<const T>{pointer<T>(x), 0, stride<T>(x, 0)} : rows3<T>(x, false);
  initial.fill(call);
  fill_zones(call.noise, p.zones, kernel.info, shape);
  const Sizes sizes = kernel.forward_sizes(shape, call.plan, 0);
  py::array y = pooled<T>(one ? Dims{shape.rows, output} : Dims{shape.steps, shape.rows, output}, "y");
  call.y = one ? Rows<T>{mutable_pointer<T>(y), 0, output} : mutable_rows3<T>(y, false);
  py::tuple final_state(static_cast<std::size_t>(kernel.info.states));
  for (std::size_t i = 0; i < final_state.size(); ++i) {
    py::array s = pooled<T>({shape.rows, width_of(shape, i)}, "state");
    call.final[i] = mutable_pointer<T>(s);
    final_state[i] = s;
  }
  const Block saved = block_of<T>(sizes.saved, "gates"), stash = block_of<T>(sizes.stash, "states");
  call.saved = saved.as<T>();
  call.stash = stash.as<T>();
  call.panels = p.panels.as<T>();
  call.scratch = p.scratch.as<T>();
  call.prepared = true;
  call.interrupted = &interrupted;
  bool left_early;
  {
    const py::gil_scoped_release release;
    left_early = kernel.forward(call);
  }
  if (left_early) throw py::error_already_set();
  return py::make_tuple(y, final_state);
}

}  // namespace

void bind_prepared(py::module_& m) {
  py::class_<Prepared>(m, "Prepared")
      .def(py::init([](const std::string& cell, const py::tuple& weights, py::handle zone, bool bfloat16) {
             const int index = find_cell(cell);
             if (weights.size() == 0) fail_value("weights", "4 arrays (the biases may be None)", "0");
             return is_float32(weights[0], "weight_ih") ? prepare<float>(index, weights, zone, bfloat16)
                                                        : prepare<double>(index, weights, zone, bfloat16);
           }),
           py::arg("cell"), py::arg("weights"), py::arg("zone") = py::none(), py::arg("bfloat16") = false)
      .def(
          "__call__",
          [](const Prepared& p, py::handle x, py::handle state) {
            return p.float32 ? run<float>(p, x, state) : run<double>(p, x, state);
          },
          py::arg("x"), py::arg("state").none(true));
}

}  // namespace fastrnn::bindings
