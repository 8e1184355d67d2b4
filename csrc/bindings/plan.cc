// cells, explain: what cells there are, and how calls are shared out.
#include "bindings/plan.h"

#include <pybind11/stl.h>

#include <atomic>
#include <optional>

#include "base/cpu.h"
#include "bindings/args.h"
#include "bindings/module.h"
#include "dispatch.h"

namespace fastrnn::bindings {

int find_cell(const std::string& name) {
  std::string known;
  for (int i = 0; i < kCells; ++i) {
    const char* candidate = kernels().f32.recurrent[i].info.name;
    if (name == candidate) return i;
    known += (i ? ", " : "") + std::string(candidate);
  }
  fail_value("cell", "one of " + known, "'" + name + "'");
}

Decision plan_for(const Shape& shape, const CellInfo& cell, std::size_t element, int threads, bool bfloat16) {
  const void* pairs = bfloat16 && element == sizeof(float) ? fast_pairs() : nullptr;
  if (pairs != nullptr) element = 2;
  Decision d =
      decide(shape, cell, static_cast<ptrdiff_t>(element),
             {threads, static_cast<ptrdiff_t>(l2_bytes()), fma_bytes(kernels().vector_bytes), hides_far_fetches()});
  d.forward.pairs = d.backward.pairs = pairs;
  return d;
}

namespace {
std::atomic<bool> emulated{false};
}
const void* fast_pairs() {
  const Kernels& table = kernels();
  return emulated.load(std::memory_order_relaxed) ? table.emulated_pairs : table.pairs;
}
const void* any_pairs() { return fast_pairs() != nullptr ? fast_pairs() : kernels().emulated_pairs; }
void emulate_pairs(bool emulate) { emulated.store(emulate, std::memory_order_relaxed); }

namespace {

py::dict explain(const std::string& cell, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t hidden,
                 std::optional<int> threads, const std::string& dtype, ptrdiff_t projected) {
  const int index = find_cell(cell);
  for (const auto& [name, value] : {std::pair{"T", steps}, {"B", rows}, {"I", inputs}, {"H", hidden}})
    if (value < 1) fail_value(name, "a positive integer", std::to_string(value));
  if (threads && *threads < 1) fail_value("threads", "a positive integer", std::to_string(*threads));
  const bool bfloat16 = dtype == "bfloat16";
  if (dtype != "float32" && dtype != "float64" && !bfloat16)
    fail_value("dtype", "float32, float64 or bfloat16", "'" + dtype + "'");
  const std::size_t element = dtype == "float64" ? sizeof(double) : sizeof(float);
  const CellInfo& info = kernels().f32.recurrent[index].info;
  const Shape shape{steps, rows, inputs, hidden, 0, projected};
  const Decision d = plan_for(shape, info, element, threads.value_or(usable_threads()), bfloat16);
  py::dict out;
  out["threads"] = d.forward.threads();
  out["row_groups"] = d.forward.row_groups;
  out["unit_groups"] = d.forward.unit_groups;
  out["forward_chunk"] = d.forward.chunk;
  out["backward_chunk"] = d.backward.chunk;
  out["barriers_per_step"] = d.forward.unit_groups > 1 ? info.barriers : 0;
  out["predicted_share"] = d.predicted_share;
  const auto h = static_cast<double>(hidden), i = static_cast<double>(inputs);
  const auto p = static_cast<double>(shape.output());
  const int recurrent_gates = info.recurrent_gates[0] + info.recurrent_gates[1];
  out["flops"] =
      6.0 * static_cast<double>(steps) * static_cast<double>(rows) * h * (info.gates * i + recurrent_gates * p);
  out["isa"] = kernels().name;
  return out;
}

// Everything about the cells that the Python side has to know, by name.
py::dict cells() {
  py::dict out;
  for (int i = 0; i < kCells; ++i) {
    const CellInfo& info = kernels().f32.recurrent[i].info;
    py::dict cell;
    cell["gates"] = info.gates;
    cell["recurrent_gates"] = info.recurrent_gates[0];
    cell["states"] = info.states;
    cell["units"] = info.units;
    cell["second_gates"] = info.recurrent_gates[1];
    cell["projects"] = info.projects;
    cell["sees_made_states"] = info.sees_made_states;
    cell["side"] = info.side;
    cell["by_row"] = info.by_row;
    cell["inner"] = info.inner;
    out[info.name] = cell;
  }
  return out;
}

}  // namespace

void bind_plan(py::module_& m) {
  m.def("has_bfloat16", [] { return fast_pairs() != nullptr; });
  m.def("emulate_bfloat16", &emulate_pairs, py::arg("emulate"));
  m.def("cells", &cells);
  m.def("explain", &explain, py::arg("cell"), py::arg("T"), py::arg("B"), py::arg("I"), py::arg("H"),
        py::arg("threads") = py::none(), py::arg("dtype") = "float32", py::arg("P") = 0);
}

}  // namespace fastrnn::bindings
