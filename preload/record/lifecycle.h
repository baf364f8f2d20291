// When recording begins and ends, for the process and for its threads. Drives the layers below; hooks meet it through
// thread/guard.h.
//
//   undecided --Decide--> not recording
//       ^        |
//       |        +------> recording --Stop--> not recording
//       +---- fork, in the child ----+
#pragma once

#include <cstdint>

#include "preload/base/attributes.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

// Decides whether this process is traced, and starts its session if so: at the first hook that finds the process
// undecided and libc's environment in place, at the latest in the library's constructor; in a forked child at its first
// event. One thread decides; hooks that run meanwhile are not recorded. True: the process is recording now. May change
// errno.
LEAKTRACE_COLD bool Decide(ThreadState& thread);

// True while this process is recorded, and is the one whose session this is (a vfork child is not). Starts nothing.
bool IsRecording();

// The process is about to end with `status`, by `exit` or its kin.
LEAKTRACE_COLD void OnExit(std::int32_t status);

// The calling thread is about to call dlopen, with the stack pointer `sp`. Modules that come are announced at the
// thread's next events, as long as those come from deeper in the stack (constructors run within dlopen), and once more
// at the first after dlopen has returned. dlopen is not wrapped further, because it looks at its caller's address to
// find the caller's RUNPATH.
LEAKTRACE_COLD void OnLoading(std::uintptr_t sp);

}  // namespace leaktrace::preload
