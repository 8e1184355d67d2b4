// An input of a recurrent layer that stays the same for several steps: (x, weight, of).  Its product is formed once for
// all steps that have it, biases included, and their pre-activations begin with that.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "bindings/ops.h"
#include "bindings/plan.h"
#include "bindings/recurrent_args.h"

namespace fastrnn::bindings {

template <class T>
struct HeldInput {
  const bool given;
  Array x, weight;   // [V, B, S], of unlike lengths [V, S]; [H, S]
  py::object which;  // of its rows each step has
  Block products;    // [V, B, row] or [V, row]
  ptrdiff_t versions = 0, rows = 0, inputs = 0, hidden = 0, row = 0;

  HeldInput(const Arguments<T>& a, py::handle value) : given(!value.is_none()) {
    if (!given) return;
    if (a.info.slots != 1 || a.info.recurrent_gates[0] != 1 || a.shape.vocabulary != 0 || a.batch_first || a.reverse)
      fail_value("held", "None but for simple cells without tokens, batch_first or reverse", "a tuple");
    const py::tuple parts = tuple_of(value, 3, "held", "a tuple of 3 arrays");
    which = parts[2];
    const bool ragged = a.shape.ragged();
    x = input<T>(parts[0], "held[0]");
    check_shape(x, "held[0]", ragged ? Dims{-1, -1} : Dims{-1, a.shape.rows, -1}, letters());
    inputs = x.shape(x.ndim() - 1);
    versions = ragged ? 1 : x.shape(0);
    rows = x.shape(x.ndim() - 2);
    hidden = a.shape.hidden;
    row = round_to_block(hidden);
    weight = input<T>(parts[1], "held[1]");
    check_shape(weight, "held[1]", {hidden, inputs}, "(H, S)");
    if (inputs == 0) fail_value("held[1]", "S >= 1", text(shape_of(weight)));
    if (hidden > 1 && stride<T>(weight, 0) < inputs) weight = py::array(weight.attr("copy")());
  }
  const char* letters() const { return x.ndim() == 2 ? "(V, S)" : "(V, B, S)"; }
  ptrdiff_t weight_step() const { return hidden > 1 ? stride<T>(weight, 0) : inputs; }
  Rows<T> products_view() const { return {products.as<T>(), rows * row, row}; }
  Tokens of(const Arguments<T>& a) const {
    Tokens found = tokens(which, "held[2]", false, x.shape(0));
    const ptrdiff_t steps = a.shape.ragged() ? a.shape.places[0] : a.shape.steps;
    if (found.inner != 1 || found.outer != steps)
      fail_value("held[2]", "one for each step, (" + std::to_string(steps) + ",)",
                 text(shape_of(array(which, "held[2]"))));
    if (!a.shape.ragged() && !std::is_sorted(found.data(), found.data() + steps))
      fail_value("held[2]", "ascending numbers", "others");
    if (a.shape.ragged()) check_owners(a.shape, found.data());
    return found;
  }

  // Threads add to the versions of their rows of the batch, so no two of these may share one.
  void check_owners(const Shape& s, const std::int32_t* of) const {
    std::vector<ptrdiff_t> owner(static_cast<std::size_t>(x.shape(0)), -1);
    for (ptrdiff_t t = 0; t < s.steps; ++t)
      for (ptrdiff_t b = 0; b < s.count(t); ++b) {
        ptrdiff_t& row = owner[static_cast<std::size_t>(of[s.place(t) + b])];
        if (row >= 0 && row != b)
          fail_value("held[2]", "versions of one row of the batch each",
                     "one of rows " + std::to_string(row) + " and " + std::to_string(b));
        row = b;
      }
  }

  // What pre-activations begin with; `bias` is made of those of the cell.
  void multiply(const Weights<T>& weights, const void* pairs) {
    clear(row != hidden);
    if (versions * rows == 0) return;
    const Block bias = scratch_of<T>(hidden);
    for (ptrdiff_t i = 0; i < hidden; ++i)
      bias.as<T>()[i] = (weights.input_bias != nullptr ? weights.input_bias[i] : T(0)) +
                        (weights.recurrent_bias != nullptr ? weights.recurrent_bias[i] : T(0));
    // Threads take rows of the batch, as they will in the pass, and not versions.
    const Rows<T> from = Grid<T>::template view_of<T>(x), to = products_view();
    Linear<T> call{rows,
                   versions,
                   inputs,
                   hidden,
                   {from.p, from.inner, from.outer},
                   pointer<T>(weight),
                   weight_step(),
                   bias.as<const T>(),
                   {to.p, to.inner, to.outer},
                   team_for_flops(2, versions * rows, inputs, hidden),
                   pairs,
                   nullptr};
    run_on_scratch<T>(&OpKernels<T>::linear_scratch, &OpKernels<T>::linear, call);
  }
  // Makes room, of zeros or as it comes.
  void clear(bool zeros) {
    products = block_of<T>(versions * rows * row, "held input");
    if (zeros) std::memset(products.data(), 0, bytes(versions));
  }
  std::size_t bytes(ptrdiff_t count) const { return static_cast<std::size_t>(count * rows * row) * sizeof(T); }
  // The same for gradients by the products: zeros where no step has them.
  void clear(const Arguments<T>& a, const Tokens& of) {
    clear(a.shape.ragged());
    if (a.shape.ragged()) return;
    ptrdiff_t next = 0;
    for (ptrdiff_t t = 0; t <= of.outer; ++t) {
      const ptrdiff_t version = t < of.outer ? of.data()[t] : versions;
      if (version > next) std::memset(products.as<T>() + next * rows * row, 0, bytes(version - next));
      next = version + 1;
    }
  }
  // Adds the gradients by x and by the weight into (dx, dweight).
  struct Sums {
    Array dx, dweight;
  };
  Sums sums(py::handle value) const {
    const py::tuple parts = tuple_of(value, 2, "dheld", "a tuple of 2 arrays");
    return {part<T>(parts[0], "dheld[0]", shape_of(x), "of held[0]"),
            part<T>(parts[1], "dheld[1]", {hidden, inputs}, "of held[1]")};
  }
  void add(const Sums& to, const void* pairs) const {
    if (versions * rows == 0) return;
    const Rows<T> d = products_view();
    LinearBackward<T> call{versions,
                           rows,
                           inputs,
                           hidden,
                           {d.p, d.outer, d.inner},
                           Grid<T>::template view_of<const T>(x),
                           pointer<T>(weight),
                           weight_step(),
                           Grid<T>::template view_of<T>(to.dx),
                           true,
                           mutable_pointer<T>(to.dweight),
                           hidden > 1 ? stride<T>(to.dweight, 0) : inputs,
                           nullptr,
                           team_for_flops(4, versions * rows, inputs, hidden),
                           pairs,
                           nullptr};
    run_on_scratch<T>(&OpKernels<T>::linear_backward_scratch, &OpKernels<T>::linear_backward, call);
  }
};

}  // namespace fastrnn::bindings
