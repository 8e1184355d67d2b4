// The parts of the extension module.
#pragma once

#include <pybind11/pybind11.h>

namespace fastrnn::bindings {

void bind_runtime(pybind11::module_& m);
void bind_recurrent(pybind11::module_& m);
void bind_plan(pybind11::module_& m);
void bind_prepared(pybind11::module_& m);
void bind_hold(pybind11::module_& m);
void bind_take(pybind11::module_& m);
void bind_scan(pybind11::module_& m);
void bind_pool(pybind11::module_& m);
void bind_convolution(pybind11::module_& m);
void bind_attention(pybind11::module_& m);
void bind_ops(pybind11::module_& m);
void bind_vector_file(pybind11::module_& m);
void bind_word2vec(pybind11::module_& m);
void bind_glove(pybind11::module_& m);
void bind_words(pybind11::module_& m);

}  // namespace fastrnn::bindings
