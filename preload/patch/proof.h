// Proves by behaviour that the functions of the hook map are what discovery takes them for, before any of them is
// patched.
#pragma once

#include <cstdint>

#include "format/hook_map.h"
#include "preload/base/attributes.h"

namespace leaktrace::preload {

// Calls, in a forked child, every entry whose arguments are all known: a block must be aligned and distinct, come again
// after it was freed, be zero where it says so, keep its content when it is resized. proved[i] = false: an entry of
// allocator i failed, crashed or hung (2 s at most for all). Marks the entry in map.proof_failed. Where no child can be
// made, nothing is proved.
LEAKTRACE_COLD void ProveEntries(format::HookMapTable& map, std::uintptr_t load_address,
                                 bool (&proved)[format::kMaxAllocators]);

}  // namespace leaktrace::preload
