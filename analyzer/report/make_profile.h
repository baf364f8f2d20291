// What is exported, taken from a trace's model.
#pragma once

#include <optional>

#include "analyzer/leak/window.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/report/names.h"
#include "analyzer/report/profile.h"

namespace leaktrace::report {

struct ProfileOptions {
  bool mappings = false;               // of mappings instead of heap blocks
  std::optional<leak::Window> window;  // the load that growth is counted in; without it growth is 0
};

// A sample for each stack with its allocator, request phase and route. The totals of the heap are those of the report:
// live bytes and blocks, allocated bytes, allocations, and what survived the load. Resolves all names.
[[nodiscard]] Profile MakeProfile(const model::TraceModel& model, Names& names, const ProfileOptions& options);

}  // namespace leaktrace::report
