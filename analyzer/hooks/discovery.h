// Finds the entry points of allocators that are linked statically into an executable or shared object, stripped or not.
//
// By structure only: which functions take a block from a page's free list and count it, which put one back, how the
// page is found from a size or a pointer, who calls whom with which argument. No address, offset or byte pattern of one
// build is known here; the offsets of the fields are learnt from the file itself. Facts of mimalloc's structure:
// include/mimalloc/types.h, src/alloc.c, src/free.c and src/page.c of microsoft/mimalloc (v2.0 to v3) and of
// oven-sh/mimalloc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzer/base/elf_file.h"
#include "format/hook_map.h"

namespace leaktrace::hooks {

struct FoundEntry {
  format::HookEntry hook{};  // hook.displaced_bytes == 0: it cannot be patched, `refused` says why
  std::string name;          // what it is: "malloc", "heap calloc", "allocation site"
  std::string symbol;        // the file's own names for that address, "" where there are none
  std::string refused;
  std::vector<std::string> evidence;
};

struct FoundAllocator {
  std::string name;                    // "mimalloc v2", "mimalloc v3"
  std::vector<FoundEntry> entries;     // by address
  std::vector<std::string> covered;    // functions with list operations that only entries reach: why they need no hook
  std::vector<std::string> uncovered;  // list operations that no entry accounts for; empty = complete
  std::uint8_t block_size_offset = 0, block_size_bytes = 0;
  std::size_t pops = 0, pushes = 0;  // list operations found
  [[nodiscard]] bool complete() const { return uncovered.empty(); }
};

struct Discovery {
  Bytes build_id;
  std::vector<FoundAllocator> allocators;  // empty: none is linked in
  bool has_libpas = false;  // JavaScriptCore's own allocator, which the environment can switch to the system's
};

// Errors: those of ElfFile::Open.
absl::StatusOr<Discovery> Discover(const std::string& path);

}  // namespace leaktrace::hooks
