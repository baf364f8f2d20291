// How a thread gets a ring: it takes a slot at its first event, and gives it back when it ends.
//
// Some events happen outside that time. They are recorded by a transient thread state, which takes a slot for one hook
// only:
// - after the thread has ended for the library: other thread-local destructors, and libc's own clean-up, release memory
// later still;
// - in a signal handler that interrupted the writing of a record, where the thread's own ring is not to be touched.
#pragma once

#include "preload/base/attributes.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

// ThreadState::session of a thread that has given its slot back for good.
inline constexpr std::uint32_t kEndedSession = ~0u - 1;

// Takes a slot for the calling thread, finds its stack's bounds and posts kThreadStart. The guard must be raised.
// False: there is no slot; recording has stopped then. May change errno.
LEAKTRACE_COLD bool TakeSlot(ThreadState& thread);

// Posts kThreadEnd and gives the slot back: the recorder frees it once it has read that record.
LEAKTRACE_COLD void GiveSlotBack(ThreadState& thread);

}  // namespace leaktrace::preload
