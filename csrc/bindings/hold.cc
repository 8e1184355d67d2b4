// hold: the states that a module of a Clockwork network holds between its updates.
#include <algorithm>

#include "bindings/ops.h"
#include "bindings/recurrent_args.h"

namespace fastrnn::bindings {
namespace {

// Rows of a sequence that are read or written.
template <class T>
struct Side {
  py::array array;
  Shape shape{};
  Rows<T> view{};
  Side(py::handle value, const char* name, const Lengths& lengths, bool written) : array(input<T>(value, name)) {
    const bool ragged = lengths.given();
    const Dims dims = ragged ? Dims{lengths.places[0], -1} : Dims{-1, -1, -1};
    const char* const letters = ragged ? "(N, H)" : "(T, B, H)";
    if (written)
      array = part<T>(value, name, dims, letters);
    else
      check_shape(array, name, dims, letters);
    view = Grid<T>::template view_of<T>(array);
    if (ragged) {
      lengths.fill(shape);
    } else {
      shape.steps = array.shape(0);
      shape.rows = array.shape(1);
    }
  }
  ptrdiff_t columns() const { return array.shape(array.ndim() - 1); }
};

template <class T>
void hold(py::handle held_value, py::handle versions_value, py::handle of_value, bool backward, py::handle lengths) {
  py::object each[2] = {py::none(), py::none()};
  if (!lengths.is_none()) {
    const py::tuple pair = tuple_of(lengths, 2, "lengths", "a pair of arrays");
    for (std::size_t i = 0; i < 2; ++i) each[i] = array(pair[i], "lengths");  // of both or of none
  }
  array(held_value, "held");
  array(versions_value, "versions");
  const Lengths steps(each[0], held_value), versions(each[1], versions_value);
  const Side<T> held(held_value, "held", steps, !backward), from(versions_value, "versions", versions, backward);
  if (held.shape.rows != from.shape.rows || held.columns() != from.columns())
    fail_value("held", "as many rows and columns as versions has, " + text({from.shape.rows, from.columns()}),
               text({held.shape.rows, held.columns()}));
  const Tokens of = tokens(of_value, "of", false, from.shape.steps);
  const auto* const first = of.data();
  if (of.inner != 1 || of.outer != held.shape.steps || !std::is_sorted(first, first + of.outer))
    fail_value("of", text({held.shape.steps}) + " ascending numbers", text(shape_of(array(of_value, "of"))));
  for (std::size_t b = 0; b < steps.of.size(); ++b)
    if (steps.of[b] > 0 && first[steps.of[b] - 1] >= versions.of[b])
      fail_value("lengths", "versions of all steps of row " + std::to_string(b), std::to_string(versions.of[b]));
  const ptrdiff_t rows = held.shape.rows;
  const int most = team_for_bytes<T>(held.array.size() / std::max<ptrdiff_t>(held.columns(), 1), held.columns());
  const Hold<T> call{held.shape,     from.shape,
                     held.columns(), held.view,
                     from.view,      first,
                     backward,       static_cast<int>(std::min<ptrdiff_t>(most, std::max<ptrdiff_t>(rows, 1)))};
  const py::gil_scoped_release release;
  kernels().of<T>().ops.hold(call);
}

}  // namespace

void bind_hold(py::module_& m) {
  m.def(
      "hold",
      [](py::handle held, py::handle versions, py::handle of, bool backward, py::handle lengths) {
        (is_float32(versions, "versions") ? hold<float> : hold<double>)(held, versions, of, backward, lengths);
      },
      py::arg("held"), py::arg("versions"), py::arg("of"), py::arg("backward"), py::arg("lengths") = py::none());
}

}  // namespace fastrnn::bindings
