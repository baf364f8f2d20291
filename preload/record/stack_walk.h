// A walk of the calling thread's stack, frame by frame: what each frame is, and which words of the stack made it so.
#pragma once

#include <cstdint>

#include "format/ring.h"
#include "preload/base/registers.h"
#include "preload/thread/thread_state.h"
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
  static constexpr std::uint32_t kOwnFrames = 16;  // of this library, between libunwind and the hook's caller

  WalkEnd end;
  bool own_stack;  // all frames are on the thread's own stack
  std::uint32_t count;
  std::uint32_t slot_count;                                               // of all frames
  std::uintptr_t last_pc;                                                 // of the outermost frame that was found
  WalkedFrame frames[format::kMaxMaxDepth];                               // innermost first
  const std::uintptr_t* slots[format::kMaxMaxDepth * kMaxSlotsPerFrame];  // of frames[0], of frames[1], ...

  void* addresses[format::kMaxMaxDepth + kOwnFrames + 1];  // what libunwind found

  // Walks from `registers` outwards, as far as the depth limit.
  void Run(ThreadState& thread, RowFinder& rows, const Registers& registers);

 private:
  bool Describe(ThreadState& thread, const StackBounds& bounds, const FrameState& state, WalkedFrame& frame);
  void RunLibunwind(ThreadState& thread, const Registers& registers, std::uint32_t max_depth);
};

}  // namespace leaktrace::preload
