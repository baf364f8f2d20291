// Allocation functions for the moments in which the real ones are being looked up: dlsym of older libcs allocates.
//
// Blocks come from a small static area, are zeroed, and are never given back. They are not recorded. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/base/attributes.h"

namespace leaktrace::preload {

inline constexpr std::size_t kBootstrapBytes = 64 << 10;
extern char bootstrap_area[kBootstrapBytes] __attribute__((visibility("hidden")));

LEAKTRACE_HOT bool IsBootstrapBlock(const void* block) {
  return reinterpret_cast<std::uintptr_t>(block) - reinterpret_cast<std::uintptr_t>(bootstrap_area) < kBootstrapBytes;
}

void* BootstrapAllocate(std::size_t bytes);
void* BootstrapAllocateZeroed(std::size_t count, std::size_t bytes);
void* BootstrapAllocateAligned(std::size_t alignment, std::size_t bytes);
void* BootstrapReallocate(void* block, std::size_t bytes);
void BootstrapFree(void* block);

// The requested size of a block of the area.
std::size_t BootstrapSize(const void* block);

}  // namespace leaktrace::preload
