// The hooks that are in place, as their bodies need them. Filled before the first jump is written, constant from then
// on, in forked children too.
#pragma once

#include <cstdint>

#include "format/hook_map.h"

namespace leaktrace::preload {

inline constexpr unsigned kArguments = 6;

// Any function of the allocator: all its arguments are integers in registers, and a register that it does not read does
// no harm.
using AnyFunction = std::uint64_t (*)(std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t,
                                      std::uint64_t);

struct PatchedHook {
  AnyFunction original;  // the displaced instructions, then the rest of the function
  std::uintptr_t place;  // of a site: the address after the displaced instructions, as if they were a call
  format::EntryPoint entry;
  std::uint8_t allocator;  // as in events: 0 is libc's
  std::uint8_t size, count, pointer, heap,
      out;  // argument numbers; for sites hardware registers; format::kNoRegister = none
  std::uint8_t flags;
  std::uint8_t block_size_offset, block_size_bytes;
};

// Indexed like HookMapTable::entries.
extern PatchedHook patched_hooks[format::kMaxHooks] __attribute__((visibility("hidden")));

// The thunks that stubs jump to, by role (thunks.cc). Null for roles that are not patched.
void* ThunkOf(format::HookRole role);

}  // namespace leaktrace::preload
