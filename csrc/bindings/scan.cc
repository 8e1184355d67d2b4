// scan_forward and scan_backward: the blocks of long sequences, passed side by side, become one sequence.
#include <algorithm>

#include "base/threads.h"

#include "bindings/module.h"
#include "bindings/recurrent_args.h"

namespace fastrnn::bindings {
namespace {

// An array [rows / blocks, H], contiguous, or null.
template <class T>
const T* given(py::array& to, py::handle value, const char* name, const Shape& s, ptrdiff_t blocks) {
  if (value.is_none()) return nullptr;
  to = input<T>(value, name);
  check_shape(to, name, {s.rows / blocks, s.hidden}, "(B, H)");
  if (!(to.flags() & py::array::c_style)) to = py::array(to.attr("copy")());
  return pointer<T>(to);
}

template <class T>
py::array run(const Saved& saved, ptrdiff_t blocks, bool backward, py::handle sequence, const char* name,
              py::handle state, const char* state_name) {
  const Shape& s = saved.shape;
  const RecurrentKernels<T>& kernel = kernels().of<T>().recurrent[saved.cell];
  if (kernel.scan == nullptr)
    fail_value("cell", "one that keeps a share of h", std::string("'") + kernel.info.name + "'");
  if (blocks < 1 || s.rows % blocks != 0 || s.ragged())
    fail_value("blocks", "a divisor of " + std::to_string(s.rows) + " rows of one length", std::to_string(blocks));
  Scan<T> call{};
  call.shape = s;
  call.blocks = blocks;
  call.backward = backward;
  call.descending = backward != saved.reverse;
  call.saved = saved.saved.template as<const T>();
  Array a, first;
  if (!backward || !sequence.is_none()) {  // no dy is zeros, but y is written to
    a = input<T>(sequence, name);
    check_shape(a, name, saved.batch_first ? Dims{s.rows, s.steps, s.hidden} : Dims{s.steps, s.rows, s.hidden},
                saved.batch_first ? "(B, T, H)" : "(T, B, H)");
    Rows<T> rows = mutable_rows3<T>(a, saved.batch_first);  // y is read-only for others; dy is only read
    if (saved.reverse) rows = {rows.p + (s.steps - 1) * rows.outer, -rows.outer, rows.inner};
    if (backward)
      call.dy = {rows.p, rows.outer, rows.inner};
    else
      call.y = rows;
  }
  call.given = given<T>(first, state, state_name, s, blocks);
  call.threads = static_cast<int>(std::min<ptrdiff_t>(usable_threads(), s.rows));
  py::array edges = pooled<T>({s.rows, s.hidden}, "states between blocks");
  call.edges = mutable_pointer<T>(edges);
  const Block products = scratch_of<T>(s.rows * round_to_block(s.hidden));
  call.products = products.as<T>();
  {
    const py::gil_scoped_release release;
    kernel.scan(call);
  }
  return edges;
}

py::array scan(const Saved& saved, ptrdiff_t blocks, bool backward, py::handle sequence, const char* name,
               py::handle state, const char* state_name) {
  if (saved.used) throw std::runtime_error("saved: a pullback can be used once, and this one has been");
  return (saved.float32 ? run<float> : run<double>)(saved, blocks, backward, sequence, name, state, state_name);
}

}  // namespace

void bind_scan(py::module_& m) {
  m.def(
      "scan_forward",
      [](const Saved& saved, ptrdiff_t blocks, py::handle y, py::handle state) {
        return scan(saved, blocks, false, y, "y", state, "state");
      },
      py::arg("saved"), py::arg("blocks"), py::arg("y"), py::arg("state").none(true));
  m.def(
      "scan_backward",
      [](const Saved& saved, ptrdiff_t blocks, py::handle dy, py::handle dstate) {
        return scan(saved, blocks, true, dy, "dy", dstate, "dstate");
      },
      py::arg("saved"), py::arg("blocks"), py::arg("dy").none(true), py::arg("dstate").none(true));
}

}  // namespace fastrnn::bindings
