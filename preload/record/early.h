// What is allocated before there is a session: by the loader and libc before main's environment is there, and while the
// session is being made. Kept in a small table and recorded, as far as it is still live, when recording begins; so that
// its release is not one of an unknown block.
//
// Any thread; the guard is not looked at. A process that is not traced never gets here again once that is decided.
#pragma once

#include <cstddef>

#include "format/ring.h"
#include "preload/base/attributes.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

LEAKTRACE_COLD void NoteEarlyAllocation(const void* block, std::size_t bytes, format::EntryPoint entry);
LEAKTRACE_COLD void NoteEarlyRelease(const void* block);

// Records what is still live, without stacks. With the guard at kWriting.
LEAKTRACE_COLD void RecordEarlyBlocks(ThreadState& thread);

}  // namespace leaktrace::preload
