// Where a stack capture begins: the registers of the hook's caller, as they are when the hook returns.
#pragma once

#include <cstdint>

#include "preload/base/attributes.h"

namespace leaktrace::preload {

struct Registers {
  std::uintptr_t pc;  // return address into the caller
  std::uintptr_t sp;  // the caller's rsp once the hook has returned
  std::uintptr_t fp;  // the caller's rbp
};

// For the body of an exported hook itself, not for a function that it calls: the library keeps frame pointers, so the
// hook's own frame holds the caller's rbp at [rbp], the return address at [rbp+8], and the caller's stack begins at
// rbp+16.
LEAKTRACE_HOT Registers CallerRegisters() {
  const auto* const frame = static_cast<const std::uintptr_t*>(__builtin_frame_address(0));
  return {frame[1], reinterpret_cast<std::uintptr_t>(frame + 2), frame[0]};
}

}  // namespace leaktrace::preload
