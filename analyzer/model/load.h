// Reads a trace into a TraceModel: one quick pass over everything but the events, then one over the events.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "analyzer/model/trace_model.h"

namespace leaktrace::model {

struct LoadOptions {
  // Called with the bytes read and the bytes there are, at most a few thousand times.
  std::function<void(std::uint64_t, std::uint64_t)> progress;
};

// Linear in the trace. What is damaged is skipped and counted in TraceModel::integrity. Errors (one line that names the
// file and says what to do): the file cannot be read, or it is no trace.
[[nodiscard]] absl::StatusOr<TraceModel> LoadTrace(const std::string& path, const LoadOptions& options = {});

}  // namespace leaktrace::model
