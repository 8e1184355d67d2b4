// Cells by name, and the planner for what this process may use.
#pragma once

#include <string>

#include "base/planner.h"
#include "base/threads.h"

namespace fastrnn::bindings {

int find_cell(const std::string& name);
Decision plan_for(const Shape& shape, const CellInfo& cell, std::size_t element, int threads);

}  // namespace fastrnn::bindings
