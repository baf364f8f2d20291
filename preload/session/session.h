// The session of this process: from its shared memory to the recorder that is ready, and its end. All of it is cold.
//
//   kOff --Announce--> kStarting --Begin--> kRecording --Stop--> kStopped       (format::TargetState)
//
// Errors never reach the target: what cannot be done ends recording, and one line on standard error says why.
// record/lifecycle.h drives this.
#pragma once

#include <cstdint>

#include "format/ring.h"
#include "preload/session/settings.h"
#include "preload/session/shared_memory.h"

namespace leaktrace::preload {

// Of the current session; empty while there is none. Unlike `process` it is still there in a forked child.
extern SharedMemory shared_memory __attribute__((visibility("hidden")));

// Creates the memory, describes the target in it, starts the recorder, and fills `process` but for its number.
// `forked`: the target is a forked child of a traced process. False: not traced, it was said why.
bool CreateSession(const Settings& settings, bool forked);

// Tells the recorder that the modules there are at start-up have all been announced, and waits until it is ready, 10 s
// at most. False: it will not be; recording has stopped.
bool AwaitRecorder(std::uint32_t modules);

// Recording begins: returns the number of the session.
std::uint32_t BeginRecording();

// Ends recording for good. Any thread; the first reason holds. `message` is for the user, null: nothing is said.
void Stop(format::StopReason reason, const char* message);

// Forgets the parent's session in a forked child.
void AbandonSession();

// False in a vfork child, which shares the memory of the process whose session this is.
bool IsSessionsProcess();

// The recorder's process does not exist any more.
bool RecorderIsGone();

// Notes how the target is about to end. In process 1 it also ends recording and waits until the recorder has completed
// the trace, at most 2 s: when process 1 is gone, the kernel kills the recorder too.
void NoteExit(std::int32_t status);
void AwaitTraceIfInit();

}  // namespace leaktrace::preload
