// The nearest rows of a matrix.
#include <algorithm>

#include "bindings/module.h"
#include "bindings/ops.h"

namespace fastrnn::bindings {
namespace {

template <class T>
py::tuple nearest(py::handle query_value, py::handle row_value, py::handle scale_value, py::ssize_t topn) {
  const py::array row = input<T>(row_value, "vectors"), query = input<T>(query_value, "queries");
  check_shape(row, "vectors", {-1, -1}, "(V, D)");
  check_shape(query, "queries", {-1, row.shape(1)}, "(Q, D)");
  if (topn < 1) fail_value("topn", "an int >= 1", std::to_string(topn));
  Array scale;
  if (!scale_value.is_none()) {
    scale = contiguous<T>(scale_value, "scale");
    check_shape(scale, "scale", {row.shape(0)}, "(V,)");
  }
  const ptrdiff_t best = std::min<ptrdiff_t>(topn, row.shape(0));
  py::array_t<std::int64_t> index({query.shape(0), best});
  py::array score = pooled<T>({query.shape(0), best}, "scores");
  if (query.shape(0) > 0 && best > 0) {
    Nearest<T> call{query.shape(0), row.shape(0), row.shape(1), best, pointer<T>(query), stride<T>(query, 0),
                    pointer<T>(row), stride<T>(row, 0), scale_value.is_none() ? nullptr : pointer<T>(scale),
                    mutable_pointer<T>(score), index.mutable_data(),
                    // A few queries cost as much as the vector that they are padded to.
                    team_for_flops(2, std::max<ptrdiff_t>(query.shape(0), 16), row.shape(1), row.shape(0)), nullptr};
    run_on_scratch<T>(&OpKernels<T>::nearest_scratch, &OpKernels<T>::nearest, call);
  }
  return py::make_tuple(index, score);
}

}  // namespace

void bind_nearest(py::module_& m) {
  m.def(
      "nearest",
      [](py::handle queries, py::handle vectors, py::handle scale, py::ssize_t topn) {
        return is_float32(vectors, "vectors") ? nearest<float>(queries, vectors, scale, topn)
                                              : nearest<double>(queries, vectors, scale, topn);
      },
      py::arg("queries"), py::arg("vectors"), py::arg("scale").none(true), py::arg("topn"));
}

}  // namespace fastrnn::bindings
