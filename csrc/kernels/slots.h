// A run of slots: the parts of a row of `saved` that a weight matrix feeds.
#pragma once

namespace fastrnn::FASTRNN_ISA {

struct Slots {
  int first, count;
};

}  // namespace fastrnn::FASTRNN_ISA
