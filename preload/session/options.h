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
  const char* first = nullptr;     // set: an ancestor is traced already, this is its process id
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

// Reads the options from `environment` (NAME=VALUE strings, null-terminated), which must outlive the result. False: a
// value is wrong; then it has said so on standard error.
bool ReadOptions(const char* const* environment, Options& options);

}  // namespace leaktrace::preload
