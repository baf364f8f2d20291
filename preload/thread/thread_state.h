// What a thread of the target holds for the library: one thread-local struct, constant-initialised, never destroyed, in
// the static TLS block. So it is there before the thread's first instruction of C and after its last destructor, and
// reading it calls nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/ring.h"
#include "preload/base/registers.h"
#include "preload/session/process.h"

namespace leaktrace::preload {

struct StackTree;  // record/stack_tree.h

// What the thread is doing inside a hook. Only the outermost hook records.
enum class Guard : std::uint32_t {
  kOutside = 0,
  kInOriginal = 1,  // the original function runs, or this library's own cold code: hooks that it calls do not record
  kWriting = 2,     // a record is being written: a hook that runs now was called by a signal handler, and records in a
                    // ring of its own
};

// What operator new tells the allocation function that it calls: the block is recorded as allocated by `entry`, of
// `bytes`, from `caller`.
struct Label {
  format::EntryPoint entry = format::EntryPoint::kUnknown;  // kUnknown: no label
  std::size_t bytes = 0;
  Registers caller{};
};

// Why a state holds its slot for one hook only (thread/registration.h).
enum class Transient : std::uint8_t { kNo = 0, kAfterEnd, kInWriting, kInOriginal };

struct ThreadState {
  // The first cache line is what an event touches.
  std::uint32_t session = kNoSession;  // equal to Process::session: this thread records
  Guard guard = Guard::kOutside;
  std::uint64_t* ring = nullptr;  // the ring's words
  std::uint64_t mask = 0;         // words in the ring - 1
  std::uint64_t head = 0;         // next word to write; the slot's head follows it
  std::uint64_t limit = 0;  // a record that would end beyond this word makes the writer look at the recorder's tail
  format::ThreadSlot* slot = nullptr;
  StackTree* tree = nullptr;  // made at the first capture
  format::RequestPhase phase = format::RequestPhase::kNone;
  Transient transient = Transient::kNo;

  Label label;

  // [stack_low, stack_high): where this thread's stack lies. Both 0: unknown.
  std::uintptr_t stack_low = 0;
  std::uintptr_t stack_high = 0;
  std::uint32_t slot_index = 0;
  std::uint32_t end_passes = 0;   // runs of the thread-end destructor so far
  std::uintptr_t loading_sp = 0;  // not 0: dlopen was called with this stack pointer (record/lifecycle.h)
};

extern constinit __thread ThreadState thread_state __attribute__((tls_model("initial-exec"), visibility("hidden")));

}  // namespace leaktrace::preload
