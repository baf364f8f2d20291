// The machine code between a patched place and its thunk. Pure functions of bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/hook_map.h"
#include "preload/patch/hook_table.h"

namespace leaktrace::preload {

inline constexpr std::size_t kStubBytes = 128;

// Whether an entry's numbers are within bounds and its role is one that is patched.
bool IsUsable(const format::HookEntry& entry);

// Writes the stub of hook `index` at `stub`, kStubBytes long, for the entry that lies at `address`. Returns how the
// original is called (for a site: null).
AnyFunction BuildStub(const format::HookEntry& entry, std::uintptr_t address, std::uint32_t index, std::uint8_t* stub);

// The bytes that replace `count` bytes at `at`: a jump to `target`, then int3.
void BuildJump(const std::uint8_t* at, const std::uint8_t* target, std::size_t count, std::uint8_t* bytes);

}  // namespace leaktrace::preload
