// Finds where a build of JavaScriptCore (Bun) keeps what names a JavaScript frame, by a calibration run: the executable
// runs a script whose functions have known names and which stops itself at a known depth; its stopped memory is
// searched for those names.
//
// Threads: none shared; each call stands alone. The run is bounded by `timeout`, and the child never outlives the call.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "format/jsc_layout.h"

namespace leaktrace::js {

// JscLayout without the flag that is shared between processes.
struct JscLayoutFacts {
  std::uint64_t interpreter_begin = 0, interpreter_end = 0;
  std::uint8_t code_block_type = 0, function_executable_type = 0;
  std::uint16_t code_block_executable = 0, executable_provider = 0, executable_unlinked = 0, unlinked_name = 0;
  std::uint16_t provider_url = 0, provider_source = 0, executable_start = 0, executable_end = 0;
  std::int32_t start_correction = 0, end_correction = 0;
};

// Runs `executable` once (about 0.1 s for Bun) and returns the layout. Errors: DeadlineExceeded (the script did not
// stop in time), FailedPrecondition (it is no JavaScriptCore runtime, or the run failed), NotFound (no layout explains
// the memory), each with what was missing. A layout is returned only if it names every function of the script, with its
// file and its place in the source.
absl::StatusOr<JscLayoutFacts> CalibrateJscLayout(const std::string& executable,
                                                  absl::Duration timeout = absl::Seconds(8));

// The same, from the cache (`cache_directory`/jsc-<build_id>.json) when it holds a layout of this build; a new result
// is stored there. `build_id` is hexadecimal. A damaged or older cache file is replaced.
absl::StatusOr<JscLayoutFacts> LoadJscLayout(const std::string& executable, const std::string& build_id,
                                             const std::string& cache_directory);

// Copies the facts into the session's memory and sets `valid`.
void PublishJscLayout(const JscLayoutFacts& facts, format::JscLayout& shared);

}  // namespace leaktrace::js
