// Where the calling thread's stack lies.
#pragma once

#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

// Sets stack_low and stack_high; both 0 if they cannot be learned. The main thread's are worked out from what the
// kernel left at its top, any other's from the mapping that the caller runs on: a stack that the thread was not made
// with (a coroutine's, a signal's) counts too, if its first event is there. No libc, no lock.
void FindStackBounds(ThreadState& thread);

}  // namespace leaktrace::preload
