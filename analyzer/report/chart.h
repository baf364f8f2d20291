// A small chart of memory over time: what of the resident memory is live native blocks, what the JavaScript heap, what
// neither.
#pragma once

#include <cstddef>
#include <string>

#include "analyzer/base/terminal.h"
#include "analyzer/model/trace_model.h"

namespace leaktrace::report {

inline constexpr std::size_t kChartRows = 8;

// Lines of at most the terminal's width, each with a line end; "" where there are fewer than two samples. Native blocks
// and the JavaScript heap are stacked; they may reach above the resident memory, because what was allocated need not
// have been touched.
[[nodiscard]] std::string MemoryChart(const model::TraceModel& model, const Terminal& terminal);

}  // namespace leaktrace::report
