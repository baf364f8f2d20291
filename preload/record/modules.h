// Which modules (executable, shared libraries, vDSO) are in the process: announced to the recorder when they come and
// go.
#pragma once

#include "preload/base/attributes.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

// Compares what is loaded with what was announced, and posts kModule and kModuleUnload for the differences. Returns how
// many modules the session has announced so far. `executable` is the path of the program itself, for which the loader
// has no name. Takes the loader's lock for reading; one thread at a time does the work. The guard must be raised.
LEAKTRACE_COLD std::uint32_t AnnounceModules(ThreadState& thread, const char* executable);

// After a fork: announces to the child's session what the parent had announced, without asking the loader, whose locks
// may be held by threads that do not exist in the child.
LEAKTRACE_COLD std::uint32_t AnnounceKnownModules(ThreadState& thread);

// After dlopen: announces what is new and waits until its unwind rows are there, at most 1 s. Does nothing if nothing
// was loaded or unloaded.
LEAKTRACE_COLD void FollowLoader(ThreadState& thread);

}  // namespace leaktrace::preload
