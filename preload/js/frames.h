// Frames that have no unwind row: are they JavaScript, and what must be recorded now so that they can be named later?
//
// For the stack walker, with the guard at kWriting. No function here allocates from the target's heaps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/base/attributes.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload::js {

// A JavaScript frame: what is recorded for it, and the stack slots that this was read from. While pc, rbp and those
// slots are the same, the frame is the same.
struct Frame {
  std::uint64_t word;  // FrameWord
  std::uint32_t auxiliary;
  std::uint32_t checked;  // how many of slots are used
  const std::uint64_t* slots[2];
};

struct CodeRange {
  std::uintptr_t begin, end;
};

// What a thread knows of the JavaScript engine that runs on it.
struct EngineState {
  // Changes when code addresses may mean something else than before, or names have become available: what was derived
  // from addresses (a cached stack, the nodes of the stack tree) is void. Written by this thread only.
  std::uint32_t epoch = 0;
  std::uint32_t polls = 0;         // V8: times that the thread was looked at for an isolate
  void* isolate = nullptr;         // V8: the isolate whose code events are received or have been asked for
  CodeRange code{};                // V8: where the isolate's code lies
  CodeRange embedded_copy{};       // V8 (Node 20): where a copy of the executable's builtins lies ...
  std::uintptr_t to_embedded = 0;  // ... and what is added to its addresses to get the executable's
  std::uint32_t interpreter_count = 0;
  CodeRange interpreter[8] = {};                // V8: the builtins that a frame of interpreted code returns to
  std::uint32_t session = kNoSession;           // JavaScriptCore: whose trace holds what follows
  struct RecordedObjects* functions = nullptr;  // CodeBlocks ...
  struct RecordedObjects* scripts = nullptr;    // ... and source providers that have been recorded
};
extern constinit __thread EngineState engine_state __attribute__((tls_model("initial-exec"), visibility("hidden")));

LEAKTRACE_HOT std::uint32_t Epoch() { return engine_state.epoch; }

enum class Engine : std::uint8_t { kNone = 0, kV8 = 1, kJsc = 2 };
extern Engine engine __attribute__((visibility("hidden")));  // set once, before recording begins

bool DescribeV8Frame(ThreadState& thread, std::uintptr_t pc, std::uintptr_t fp, Frame& frame);
bool DescribeJscFrame(ThreadState& thread, std::uintptr_t pc, std::uintptr_t fp, Frame& frame);

// For a frame at `fp` (its own rbp; [fp - 48, fp + 40) must be readable) whose pc has no unwind row. False: not known
// to be JavaScript. May append records to the thread's ring (a function seen for the first time).
inline bool DescribeFrame(ThreadState& thread, std::uintptr_t pc, std::uintptr_t fp, Frame& frame) {
  switch (engine) {
    case Engine::kV8:
      return DescribeV8Frame(thread, pc, fp, frame);
    case Engine::kJsc:
      return DescribeJscFrame(thread, pc, fp, frame);
    case Engine::kNone:
      break;
  }
  return false;
}

// Finds out which engine the process has; once, in the constructor, when the session is there and before recording
// begins.
LEAKTRACE_COLD void Initialize();

// Before main, when the executable's constructors have run: sets the engine's flags for LEAKTRACE_JS=exact.
LEAKTRACE_COLD void BeforeMain();

// Each engine's part of the above. InitializeV8 is false where the process has no V8 that exports what is needed.
bool InitializeV8();
void MakeV8Exact();

// Frees what a thread that ends has here.
LEAKTRACE_COLD void ReleaseJscTables();

// For the mmap hook: memory that is writable and executable may be JavaScriptCore's, where compiled code lies.
LEAKTRACE_COLD void NoteExecutableMapping(std::uintptr_t begin, std::size_t bytes);

}  // namespace leaktrace::preload::js
