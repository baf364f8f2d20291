// Hook maps of executables seen before, one file per build-id: `<cache directory>/hooks-<build-id>.map`.
//
// Guarantees: written atomically (readers see a whole file or none); a file that is damaged or of another version is
// ignored with a line on stderr and replaced. Several processes may use one cache at once.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "format/hook_map.h"

namespace leaktrace::hooks {

// The part of the session's table that discovery fills.
struct HookMap {
  std::uint32_t allocator_count = 0, entry_count = 0, system_malloc_switch = 0;
  format::HookAllocator allocators[format::kMaxAllocators] = {};
  format::HookEntry entries[format::kMaxHooks] = {};
};

void CopyToTable(const HookMap& map, format::HookMapTable& table);

// The hook map of `executable`: from the cache, or by discovery, which fills the cache. Where the file has no build-id
// it is searched every time. `cache_directory` "" = no cache. Takes up to 2 s the first time for an executable of 100
// MB, 20 ms afterwards. Never fails: what cannot be read gives an empty map, with a line on stderr.
HookMap LoadHookMap(const std::string& executable, const std::string& cache_directory);

}  // namespace leaktrace::hooks
