// A walk of the calling thread's stack, frame by frame: what each frame is, and which words of the stack made it so.
#pragma once

#include <cstdint>

#include "format/ring.h"
#include "preload/thread/thread_state.h"
#include "preload/base/registers.h"
#include "preload/unwind/row_finder.h"
#include "preload/unwind/walker.h"

namespace leaktrace::preload {

struct WalkedFrame {
  std::uint64_t word;  // FrameWord
  std::uint32_t auxiliary;
  std::uint16_t slot_count;  // words that were read at this frame
  bool uses_fp;              // its fp mattered for finding the caller or for what the frame is
  bool reloads_fp;           // its last slot is where the caller's fp was read, and nothing else
};

enum class WalkEnd : std::uint8_t { kOutermost, kTruncated, kBroken };

// One thread's room for a walk; touched as far as stacks are deep.
struct StackWalk {
  static constexpr std::uint32_t kMaxSlotsPerFrame = 5;

  WalkEnd end;
  bool own_stack;  // all frames are on the thread's own stack
  std::uint32_t count;
  std::uint32_t slot_count;
  std::uintptr_t last_pc;                                                 // of the outermost frame that was found
  WalkedFrame frames[format::kMaxMaxDepth];                               // innermost first
  const std::uintptr_t* slots[format::kMaxMaxDepth * kMaxSlotsPerFrame];  // of frames[0], of frames[1], ...

  // Walks from `registers` outwards over at most `max_depth` frames.
  void Run(ThreadState& thread, RowFinder& rows, const Registers& registers);
};

}  // namespace leaktrace::preload
