// Cells by name, and the planner for what this process may use.
#pragma once

#include <string>

#include "base/planner.h"
#include "base/threads.h"

namespace fastrnn::bindings {

int find_cell(const std::string& name);
// bfloat16: products of floats multiply pairs of them where the kernels in use do, or tests want it.
Decision plan_for(const Shape& shape, const CellInfo& cell, std::size_t element, int threads, bool bfloat16 = false);

// What multiplies pairs of bfloat16, for Plan::pairs.  Null: nothing here does it fast.
const void* fast_pairs();
// The same when there has to be something.
const void* any_pairs();
void emulate_pairs(bool emulate);  // of fast_pairs, for tests

}  // namespace fastrnn::bindings
