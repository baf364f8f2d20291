// Where the calling thread's stack lies.
#pragma once

#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

// Sets stack_low and stack_high; both 0 if they cannot be learned. The main thread's are worked out from what the
// kernel left at its top, any other's are asked of libc, which may allocate: call it with the guard raised. Changes
// errno.
void FindStackBounds(ThreadState& thread);

}  // namespace leaktrace::preload
