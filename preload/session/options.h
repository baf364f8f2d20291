// The options of this process, from its environment (format/options.h is the table).
#pragma once

#include <cstdint>

#include "format/options.h"
#include "format/ring.h"

namespace leaktrace::preload {

struct Options {
  bool enabled = true;
  bool children = true;
  bool verbose = false;
  const char* output = "leaktrace.%e.%p.ltrace";
  const char* executables = "";
  const char* recorder = nullptr;  // null: beside the library
  const char* first = nullptr;     // set: an ancestor is traced already, this is its executable
  format::SessionOptions session = {
      .ring_bytes = format::kDefaultRingBytes,
      .max_depth = format::kDefaultMaxDepth,
      .unwinder = format::Unwinder::kRows,
      .overflow = format::OverflowPolicy::kWait,
      .js = format::JsNames::kNames,
      .keep_libpas = 0,
      .hooks = 1,
      .reserved = {},
  };
};

// What is wrong with an option; `variable` is null if nothing is.
struct WrongOption {
  const char* variable = nullptr;  // NAME=VALUE
  const char* values = nullptr;    // what VALUE may be
};

// Reads the options from `environment` (NAME=VALUE strings, null-terminated), which must outlive the result. Options
// with a wrong value keep what they are without it; the first of them is returned.
WrongOption ReadOptions(const char* const* environment, Options& options);

}  // namespace leaktrace::preload
