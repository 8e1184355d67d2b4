// Optimisers, the global norm and clipping by value over spans.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <pybind11/stl.h>

#include "bindings/ops.h"

namespace fastrnn::bindings {

std::uint64_t word(py::handle value, const char* name) {
  const std::string expected = "an integer in [0, 2**64)";
  const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index) {
    PyErr_Clear();
    fail_type(name, expected, type_name(value));
  }
  const unsigned long long n = PyLong_AsUnsignedLongLong(index.ptr());
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    fail_value(name, expected, py::str(index).cast<std::string>());
  }
  return n;
}

int team_for(double work, double per_thread) {
  return static_cast<int>(std::min(static_cast<double>(usable_threads()), 1 + work / per_thread));
}

namespace {

// Lists of arrays that belong together, as spans.
template <class T>
class Spans {
 public:
  using Member = T* Span<T>::*;

  // The first list: it gives the lengths.
  void start(py::handle list, const char* name, Member member, bool writable) {
    const py::list arrays = as_list(list, name);
    spans_.resize(arrays.size());
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      const py::array a = take(arrays[i], label(name, i), member, i, writable);
      spans_[i].length = a.size();
      total_ += a.size();
      blocks_ += (a.size() + kNormBlock - 1) / kNormBlock;
    }
  }
  void add(py::handle list, const char* name, Member member) {
    const py::list arrays = as_list(list, name);
    if (arrays.size() != spans_.size())
      fail_value(name, std::to_string(spans_.size()) + " arrays", std::to_string(arrays.size()));
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      const py::array a = take(arrays[i], label(name, i), member, i, true);
      if (a.size() != spans_[i].length)
        fail_value(label(name, i), std::to_string(spans_[i].length) + " elements", std::to_string(a.size()));
    }
  }
  // Threads write to all of them at once.
  void check_overlap() {
    std::sort(memory_.begin(), memory_.end(), [](const Memory& a, const Memory& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < memory_.size(); ++i)
      if (memory_[i].begin < memory_[i - 1].end)
        fail_value(memory_[i].name, "memory of its own", "memory shared with " + memory_[i - 1].name);
  }
  Optimizer<T> call() const {
    Optimizer<T> out{};
    out.spans = spans_.data();
    out.count = static_cast<ptrdiff_t>(spans_.size());
    out.threads = team_for(static_cast<double>(total_) * sizeof(T), 1e5);
    return out;
  }
  Block partials() const { return acquire(static_cast<std::size_t>(blocks_) * sizeof(double), "norms"); }

 private:
  struct Memory {
    const T *begin, *end;
    std::string name;
  };
  static py::list as_list(py::handle value, const char* name) {
    if (!py::isinstance<py::list>(value) && !py::isinstance<py::tuple>(value))
      fail_type(name, "a list of arrays", type_name(value));
    return py::list(py::reinterpret_borrow<py::object>(value));
  }
  static std::string label(const char* name, std::size_t i) {
    return std::string(name) + "[" + std::to_string(i) + "]";
  }
  py::array take(py::handle value, const std::string& name, Member member, std::size_t i, bool writable) {
    py::array a = writable ? output<T>(value, name) : contiguous<T>(value, name);
    spans_[i].*member = mutable_pointer<T>(a);
    kept_.push_back(a);
    if (a.size() > 0) memory_.push_back({pointer<T>(a), pointer<T>(a) + a.size(), name});
    return a;
  }
  std::vector<Span<T>> spans_;
  std::vector<py::array> kept_;
  std::vector<Memory> memory_;
  ptrdiff_t total_ = 0, blocks_ = 0;
};

// The first array decides between float32 and float64; no arrays: nothing to do in either.
bool first_is_float32(py::handle list, const char* name) {
  if (!py::isinstance<py::list>(list) && !py::isinstance<py::tuple>(list)) return true;  // refused later
  const py::list arrays(py::reinterpret_borrow<py::object>(list));
  return arrays.empty() || is_float32(arrays[0], std::string(name) + "[0]");
}

template <class T>
double run(double (*OpKernels<T>::*kernel)(const Optimizer<T>&) noexcept, Optimizer<T>& call, const Spans<T>& spans) {
  Block partial;
  if (call.clip) {
    partial = spans.partials();
    call.partial = partial.template as<double>();
  }
  const auto function = kernels().of<T>().ops.*kernel;
  const py::gil_scoped_release release;
  return function(call);
}

template <class T>
double global_norm(py::handle grads) {
  Spans<T> spans;
  spans.start(grads, "grads", &Span<T>::grad, false);
  Optimizer<T> call = spans.call();
  call.clip = true;
  return run<T>(&OpKernels<T>::global_norm, call, spans);
}

struct Common {
  double lr, weight_decay;
  std::optional<double> max_norm;
  bool zero_grad, guard;
};

template <class T>
Optimizer<T> common(Spans<T>& spans, const Common& options) {
  if (options.max_norm && !(*options.max_norm >= 0))
    fail_value("max_norm", "a number >= 0, or None", std::to_string(*options.max_norm));
  spans.check_overlap();
  Optimizer<T> call = spans.call();
  call.clip = options.max_norm.has_value();
  call.max_norm = options.max_norm.value_or(0);
  call.zero_grad = options.zero_grad;
  call.guard = options.guard;
  call.lr = options.lr;
  call.weight_decay = options.weight_decay;
  return call;
}

template <class T>
void add_momentum(Spans<T>& spans, py::handle buffers, double momentum) {
  if (!buffers.is_none()) spans.add(buffers, "momentum_buffers", &Span<T>::first);
  if (buffers.is_none() && momentum != 0)
    fail_type("momentum_buffers", "a list of arrays when momentum is not 0", "None");
}

template <class T>
double sgd(py::handle params, py::handle grads, py::handle buffers, double momentum, double dampening, bool nesterov,
           const Common& options) {
  Spans<T> spans;
  spans.start(params, "params", &Span<T>::param, true);
  spans.add(grads, "grads", &Span<T>::grad);
  add_momentum(spans, buffers, momentum);
  Optimizer<T> call = common(spans, options);
  call.momentum = momentum;
  call.dampening = dampening;
  call.nesterov = nesterov;
  return run<T>(&OpKernels<T>::sgd, call, spans);
}

template <class T>
double adam(py::handle params, py::handle grads, py::handle m, py::handle v, std::int64_t step, double beta1,
            double beta2, double eps, bool decoupled, const Common& options) {
  if (step < 1) fail_value("step", "an integer >= 1", std::to_string(step));
  Spans<T> spans;
  spans.start(params, "params", &Span<T>::param, true);
  spans.add(grads, "grads", &Span<T>::grad);
  spans.add(m, "m", &Span<T>::first);
  spans.add(v, "v", &Span<T>::second);
  Optimizer<T> call = common(spans, options);
  call.step = step;
  call.beta1 = beta1;
  call.beta2 = beta2;
  call.eps = eps;
  call.decoupled = decoupled;
  return run<T>(&OpKernels<T>::adam, call, spans);
}

template <class T>
double rmsprop(py::handle params, py::handle grads, py::handle v, py::handle buffers, double alpha, double eps,
               double momentum, const Common& options) {
  Spans<T> spans;
  spans.start(params, "params", &Span<T>::param, true);
  spans.add(grads, "grads", &Span<T>::grad);
  spans.add(v, "v", &Span<T>::second);
  add_momentum(spans, buffers, momentum);
  Optimizer<T> call = common(spans, options);
  call.beta2 = alpha;
  call.eps = eps;
  call.momentum = momentum;
  return run<T>(&OpKernels<T>::rmsprop, call, spans);
}

template <class T>
double adagrad(py::handle params, py::handle grads, py::handle sums, double eps, const Common& options) {
  Spans<T> spans;
  spans.start(params, "params", &Span<T>::param, true);
  spans.add(grads, "grads", &Span<T>::grad);
  spans.add(sums, "sums", &Span<T>::second);
  Optimizer<T> call = common(spans, options);
  call.eps = eps;
  return run<T>(&OpKernels<T>::adagrad, call, spans);
}

template <class T>
void clip_value(py::handle grads, double limit) {
  if (!(limit >= 0)) fail_value("limit", "a number >= 0", std::to_string(limit));
  Spans<T> spans;
  spans.start(grads, "grads", &Span<T>::grad, true);
  spans.check_overlap();
  Optimizer<T> call = spans.call();
  call.max_norm = limit;
  const py::gil_scoped_release release;
  kernels().of<T>().ops.clip_value(call);
}

}  // namespace

void bind_optim(py::module_& m) {
  using py::arg;
  using H = py::handle;
  m.def(
      "global_norm",
      [](H grads) { return first_is_float32(grads, "grads") ? global_norm<float>(grads) : global_norm<double>(grads); },
      arg("grads"));
  m.def(
      "sgd",
      [](H params, H grads, H buffers, double lr, double momentum, double dampening, bool nesterov, double weight_decay,
         std::optional<double> max_norm, bool zero_grad, bool guard) {
        const Common options{lr, weight_decay, max_norm, zero_grad, guard};
        const auto call = first_is_float32(params, "params") ? &sgd<float> : &sgd<double>;
        return call(params, grads, buffers, momentum, dampening, nesterov, options);
      },
      arg("params"), arg("grads"), arg("momentum_buffers").none(true), arg("lr"), arg("momentum"), arg("dampening"),
      arg("nesterov"), arg("weight_decay"), arg("max_norm").none(true), arg("zero_grad"), arg("guard") = false);
  m.def(
      "adam",
      [](H params, H grads, H m, H v, std::int64_t step, double lr, double beta1, double beta2, double eps,
         double weight_decay, bool decoupled, std::optional<double> max_norm, bool zero_grad, bool guard) {
        const Common options{lr, weight_decay, max_norm, zero_grad, guard};
        const auto call = first_is_float32(params, "params") ? &adam<float> : &adam<double>;
        return call(params, grads, m, v, step, beta1, beta2, eps, decoupled, options);
      },
      arg("params"), arg("grads"), arg("m"), arg("v"), arg("step"), arg("lr"), arg("beta1"), arg("beta2"), arg("eps"),
      arg("weight_decay"), arg("decoupled"), arg("max_norm").none(true), arg("zero_grad"), arg("guard") = false);
  m.def(
      "rmsprop",
      [](H params, H grads, H v, H buffers, double lr, double alpha, double eps, double momentum, double weight_decay,
         std::optional<double> max_norm, bool zero_grad, bool guard) {
        const Common options{lr, weight_decay, max_norm, zero_grad, guard};
        const auto call = first_is_float32(params, "params") ? &rmsprop<float> : &rmsprop<double>;
        return call(params, grads, v, buffers, alpha, eps, momentum, options);
      },
      arg("params"), arg("grads"), arg("v"), arg("momentum_buffers").none(true), arg("lr"), arg("alpha"), arg("eps"),
      arg("momentum"), arg("weight_decay"), arg("max_norm").none(true), arg("zero_grad"), arg("guard") = false);
  m.def(
      "adagrad",
      [](H params, H grads, H sums, double lr, double eps, double weight_decay, std::optional<double> max_norm,
         bool zero_grad, bool guard) {
        const Common options{lr, weight_decay, max_norm, zero_grad, guard};
        const auto call = first_is_float32(params, "params") ? &adagrad<float> : &adagrad<double>;
        return call(params, grads, sums, eps, options);
      },
      arg("params"), arg("grads"), arg("sums"), arg("lr"), arg("eps"), arg("weight_decay"), arg("max_norm").none(true),
      arg("zero_grad"), arg("guard") = false);
  m.def(
      "clip_value",
      [](H grads, double limit) {
        (first_is_float32(grads, "grads") ? clip_value<float> : clip_value<double>)(grads, limit);
      },
      arg("grads"), arg("limit"));
}

}  // namespace fastrnn::bindings
