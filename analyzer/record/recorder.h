// The recorder: turns one session into one trace.
#pragma once

#include "absl/status/status.h"

namespace leaktrace::record {

// Records the session behind the descriptor until its target has ended, and returns when the trace is complete. An
// error means that there is no trace or that it ends early; where the library could be told, it was. Never writes to
// standard output. One call per process: its CPU time and memory are what the footer reports.
[[nodiscard]] absl::Status Record(int session_descriptor);

}  // namespace leaktrace::record
