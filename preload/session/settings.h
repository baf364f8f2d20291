// What is decided once, in the first process image, and holds for its forked children too.
#pragma once

#include <cstddef>

#include "preload/session/options.h"

namespace leaktrace::preload {

struct Settings {
  bool traced = false;
  Options options;  // texts are copies; output and recorder are absolute
  const char* executable = "";
  const char* arguments = "";  // NUL-separated
  std::size_t argument_bytes = 0;
  const char* const* environment = nullptr;  // as it was at start
  char** marked_environment = nullptr;       // with LEAKTRACE_FIRST, for the target's descendants
};

// Reads the environment, the executable and the options, and decides whether this process is traced
// (session/selection.h). What it keeps, it copies: neither the environment's strings nor the working directory need to
// stay as they are. Says on standard error what is wrong.
void ReadSettings(const char* const* environment, Settings& settings);

}  // namespace leaktrace::preload
