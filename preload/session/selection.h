// Which processes are traced.
//
// The library is loaded into every program that inherits LD_PRELOAD. Traced are, by default:
// - the first executable that is neither a shell nor a launcher (a program whose purpose is to start another: env,
//   timeout, npm, ...). It leaves its path in LEAKTRACE_FIRST, for its descendants;
// - of those the ones that run the same executable, or a JavaScript runtime.
// LEAKTRACE_EXECUTABLES names the executables that are traced instead; then neither order nor kind matters.
#pragma once

#include "preload/session/options.h"

namespace leaktrace::preload {

struct Executable {
  const char* path;            // absolute, or as it was started if the kernel does not tell
  const char* first_argument;  // argv[1]; "" if there is none or it is not known
};

[[nodiscard]] bool IsSelected(const Options& options, const Executable& executable);

}  // namespace leaktrace::preload
