// Instruction set, threads, memory: what a process can ask and set.
#include <pybind11/stl.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/threads.h"
#include "base/workspace.h"
#include "bindings/args.h"
#include "bindings/module.h"
#include "dispatch.h"

namespace fastrnn::bindings {
namespace {

py::dict cache_info() {
  const PoolInfo info = pool_info();
  py::dict out;
  out["in_use"] = info.in_use;
  out["cached"] = info.cached;
  out["cap"] = info.cap;
  out["system_allocations"] = info.system_allocations;
  out["acquisitions"] = info.acquisitions;
  return out;
}

// What has been freed goes back to the system.  glibc keeps it after arrays of some MB have come and gone.
void trim_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

std::vector<std::string> available() {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < isa_count(); ++i)
    if (can_run(isa_name(i))) names.emplace_back(isa_name(i));
  return names;
}

}  // namespace

void bind_runtime(py::module_& m) {
  kernels();  // an impossible FASTRNN_ISA is reported at import
  m.def("isa", [] { return std::string(kernels().name); });
  m.def("use_isa", [](const std::string& name) { use_isa(printable(name).c_str()); }, py::arg("name"));
  m.def("available_isas", &available);
  m.def("get_num_threads", &num_threads);
  m.def(
      "set_num_threads",
      [](int n) {
        if (n < 1) fail_value("n", "a positive number of threads", std::to_string(n));
        set_num_threads(n);
      },
      py::arg("n"));
  m.def("clear_cache", &clear_pool);
  m.def("trim_memory", &trim_memory);
  m.def("cache_info", &cache_info);
  m.def(
      "empty",
      [](const std::vector<ptrdiff_t>& lengths, py::handle like) {
        if (lengths.size() > Dims::kMost) fail_value("shape", "at most 64 axes", std::to_string(lengths.size()));
        const Dims shape(lengths.data(), lengths.size());
        for (const ptrdiff_t n : shape)
          if (n < 0) fail_value("shape", "lengths >= 0", text(shape));
        return pooled(shape, is_float32(like, "like"), "empty");
      },
      py::arg("shape"), py::arg("like"));
  m.def("barrier_waits", &Barrier::waits);
  m.def("l2_bytes", &l2_bytes);
  m.def("compiler", [] { return std::string(FASTRNN_COMPILER); });
  m.def("openmp", &uses_openmp);
}

}  // namespace fastrnn::bindings
