// Trace files while they come into being: which ones a command has written, and when they are complete.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace leaktrace::commands {

enum class TraceState {
  kBeingWritten,
  kComplete,    // has a footer
  kIncomplete,  // its recorder ended without one
};

// What is known of a trace without its events.
struct TraceFacts {
  std::string path;
  TraceState state = TraceState::kIncomplete;
  std::uint32_t pid = 0;
  std::uint64_t start = 0;  // ns since 1970
  std::string executable;
  std::string stop_reason;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::uint64_t live_bytes = 0, live_blocks = 0, rss = 0;  // of the last memory sample; 0 where there is none
};

[[nodiscard]] absl::StatusOr<TraceFacts> ReadFacts(const std::string& path);

// Files that a pattern of LEAKTRACE_OUTPUT (%e, %p, %t, %% in the file name) may stand for, sorted. `pattern` is an
// absolute path.
[[nodiscard]] std::vector<std::string> MatchingFiles(const std::string& pattern);

// Whether `name` may have come from `pattern`; both are file names without a folder. A pattern without %p also stands
// for names with
// ".PID" before the extension: the traces of child processes.
[[nodiscard]] bool MatchesPattern(const std::string& name, const std::string& pattern);

// Waits until no recorder writes the trace any more. False when `timeout` passes before.
[[nodiscard]] bool WaitUntilWritten(const std::string& path, std::chrono::milliseconds timeout);

}  // namespace leaktrace::commands
