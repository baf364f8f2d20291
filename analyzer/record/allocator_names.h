// The allocators whose blocks a trace holds.
#pragma once

#include <string>
#include <vector>

#include "analyzer/record/session.h"

namespace leaktrace::record {

struct AllocatorName {
  std::string name;       // "libc", "mimalloc v3", ...
  std::string state;      // "hooked", "found but not hooked", ...
  bool complete = false;  // every entry point of it is hooked
};

// By the allocator's number in records: the C library's first, then those of the session's hook map.
[[nodiscard]] std::vector<AllocatorName> AllocatorNames(const Session& session);

// What a hooked function of a stripped executable does, in a word: "allocate".
[[nodiscard]] const char* RoleName(format::HookRole role);

}  // namespace leaktrace::record
