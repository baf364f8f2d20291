// One step of a stack walk: from a frame's registers to its caller's.
//
// Every address is checked against the bounds of the stack and its alignment before it is read, so no stack and no
// table makes a step fault. A step is a function of pc, sp, fp, the bounds and the words that it read, which it names:
// while those are the same, the caller is the same.
#pragma once

#include <cstdint>

#include "preload/unwind/row_finder.h"

namespace leaktrace::preload {

// Readable memory that holds the frames: [low, high).
struct StackBounds {
  std::uintptr_t low;
  std::uintptr_t high;

  [[nodiscard]] LEAKTRACE_HOT bool HoldsWords(std::uintptr_t at, unsigned words) const {
    return at >= low && at < high && high - at >= words * std::uintptr_t{8} && at % 8 == 0;
  }
};

struct FrameState {
  std::uintptr_t pc;
  std::uintptr_t sp;
  std::uintptr_t fp;
  bool interrupted;  // pc is the instruction to be executed next, not a return address
};

enum class Outcome : std::uint8_t {
  kCaller,    // the state is the caller's
  kSwitched,  // the same, and its sp may be on another stack: bounds must be found anew
  kEnd,       // this was the outermost frame
  kBroken,    // the caller cannot be found
};

// What a step read, besides the state.
struct StepReads {
  bool uses_fp = false;     // the frame's fp mattered
  bool reloads_fp = false;  // the caller's fp is what was read at the last slot
  unsigned count = 0;
  const std::uintptr_t* slots[3];

  LEAKTRACE_HOT std::uintptr_t Read(std::uintptr_t at) {
    slots[count] = reinterpret_cast<const std::uintptr_t*>(at);
    return *slots[count++];
  }
};

inline constexpr std::uintptr_t kFirstCodeAddress =
    4096;  // no code is below: null and small numbers are no return addresses

// Offsets of the interrupted registers in the ucontext that the kernel leaves at rsp for rt_sigreturn
// (arch/x86/include/uapi/asm/ucontext.h and sigcontext.h).
inline constexpr std::uintptr_t kUcontextRbp = 120, kUcontextRsp = 160, kUcontextRip = 168;

LEAKTRACE_COLD inline Outcome StepOutOfHandler(const StackBounds& bounds, FrameState& state, StepReads& reads) {
  if (!bounds.HoldsWords(state.sp, (kUcontextRip + 8) / 8)) return Outcome::kBroken;
  const std::uintptr_t at = state.sp;
  state.pc = reads.Read(at + kUcontextRip);
  state.sp = reads.Read(at + kUcontextRsp);
  state.fp = reads.Read(at + kUcontextRbp);
  reads.reloads_fp = true;
  state.interrupted = true;
  return state.pc < kFirstCodeAddress ? Outcome::kBroken : Outcome::kSwitched;
}

// Steps by the frame pointer: [fp] is the caller's, [fp + 8] the return address. An fp of 0 is what thread starts set
// for their callees.
LEAKTRACE_HOT Outcome StepByFramePointer(const StackBounds& bounds, FrameState& state, StepReads& reads) {
  reads.uses_fp = true;
  const std::uintptr_t fp = state.fp;
  if (fp == 0) return Outcome::kEnd;
  if (fp < state.sp || !bounds.HoldsWords(fp, 2)) return Outcome::kBroken;
  state.pc = reads.Read(fp + 8);
  state.fp = reads.Read(fp);
  state.sp = fp + 16;
  reads.reloads_fp = true;
  state.interrupted = false;
  if (state.pc == 0) return Outcome::kEnd;
  return state.pc < kFirstCodeAddress ? Outcome::kBroken : Outcome::kCaller;
}

// Steps to the caller by the frame's row. `reads` must be fresh. After kEnd and kBroken the state is not to be used.
LEAKTRACE_HOT Outcome Step(Row row, const StackBounds& bounds, FrameState& state, StepReads& reads) {
  std::uintptr_t cfa, fp_base;
  switch (row.rule) {
    case format::UnwindRule::kRsp:
      cfa = fp_base = state.sp + static_cast<std::uintptr_t>(std::intptr_t{row.cfa_offset});
      break;
    case format::UnwindRule::kRbp:
      reads.uses_fp = true;
      cfa = fp_base = state.fp + static_cast<std::uintptr_t>(std::intptr_t{row.cfa_offset});
      break;
    case format::UnwindRule::kRbpDeref: {
      reads.uses_fp = true;
      const std::uintptr_t at = state.fp + static_cast<std::uintptr_t>(std::intptr_t{row.cfa_offset});
      if (!bounds.HoldsWords(at, 1)) return Outcome::kBroken;
      cfa = reads.Read(at);
      fp_base = state.fp;
      break;
    }
    case format::UnwindRule::kPlt:
      cfa = fp_base = state.sp + 8 + (static_cast<std::intptr_t>(state.pc & 15) >= row.cfa_offset ? 8 : 0);
      break;
    case format::UnwindRule::kRspWords:
      cfa = fp_base = state.sp + static_cast<std::uintptr_t>(std::intptr_t{row.cfa_offset} * 8);
      break;
    case format::UnwindRule::kEnd:
      return Outcome::kEnd;
    case format::UnwindRule::kSignalFrame:
      return StepOutOfHandler(bounds, state, reads);
    default:
      return StepByFramePointer(bounds, state, reads);
  }
  if (cfa <= state.sp || !bounds.HoldsWords(cfa - 8, 1)) return Outcome::kBroken;
  state.pc = reads.Read(cfa - 8);
  if (row.rbp_offset != 0 || row.rule == format::UnwindRule::kRbpDeref) {
    const std::uintptr_t at = fp_base + static_cast<std::uintptr_t>(std::intptr_t{row.rbp_offset} * 8);
    if (!bounds.HoldsWords(at, 1)) return Outcome::kBroken;
    state.fp = reads.Read(at);
    reads.reloads_fp = true;
  }
  state.sp = cfa;
  state.interrupted = false;
  if (state.pc == 0) return Outcome::kEnd;
  return state.pc < kFirstCodeAddress ? Outcome::kBroken : Outcome::kCaller;
}

}  // namespace leaktrace::preload
