// fastrnn._core
#include "bindings/module.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "Compiled kernels of fastrnn; the public interface is the package above it.";
  fastrnn::bindings::bind_runtime(m);
  fastrnn::bindings::bind_recurrent(m);
  fastrnn::bindings::bind_plan(m);
  fastrnn::bindings::bind_prepared(m);
  fastrnn::bindings::bind_hold(m);
  fastrnn::bindings::bind_take(m);
  fastrnn::bindings::bind_scan(m);
  fastrnn::bindings::bind_pool(m);
  fastrnn::bindings::bind_convolution(m);
  fastrnn::bindings::bind_attention(m);
  fastrnn::bindings::bind_ops(m);
  fastrnn::bindings::bind_vector_file(m);
  fastrnn::bindings::bind_word2vec(m);
  fastrnn::bindings::bind_glove(m);
  fastrnn::bindings::bind_words(m);
}
