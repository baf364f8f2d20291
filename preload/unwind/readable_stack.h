// Which memory around a stack pointer may be read.
#pragma once

#include <cstdint>

#include "preload/thread/thread_state.h"
#include "preload/unwind/walker.h"

namespace leaktrace::preload {

// For a stack pointer that is not on the thread's own stack: the bounds of the alternate signal stack where the thread
// is on it, else the rest of the page that holds `sp`, which is mapped whoever made this stack. One system call.
LEAKTRACE_COLD StackBounds ForeignBounds(std::uintptr_t sp);

// True where `sp` is on the thread's own stack: then everything from there to stack_high is readable.
LEAKTRACE_HOT bool OnOwnStack(const ThreadState& thread, std::uintptr_t sp) {
  return sp >= thread.stack_low && sp < thread.stack_high;
}

LEAKTRACE_HOT StackBounds BoundsAt(const ThreadState& thread, std::uintptr_t sp) {
  if (OnOwnStack(thread, sp)) [[likely]]
    return {sp, thread.stack_high};
  return ForeignBounds(sp);
}

}  // namespace leaktrace::preload
