#include "preload/record/stack_walk.h"

#include "preload/js/frames.h"
#include "preload/session/process.h"
#include "preload/thread/guard.h"
#include "preload/unwind/libunwind.h"
#include "preload/unwind/main_return.h"
#include "preload/unwind/readable_stack.h"

namespace leaktrace::preload {
namespace {

WalkedFrame NativeFrame(format::FrameKind kind, std::uintptr_t pc) {
  return {.word = format::FrameWord::Pack(kind, pc),
          .auxiliary = 0,
          .slot_count = 0,
          .uses_fp = false,
          .reloads_fp = false};
}

}  // namespace

// Says in `frame` what JavaScript frame `state` is of. False: none that is known.
bool StackWalk::Describe(ThreadState& thread, const StackBounds& bounds, const FrameState& state, WalkedFrame& frame) {
  constexpr std::uintptr_t kBelow = 48, kWords = (48 + 40) / 8;  // what js::DescribeFrame may read, from fp - kBelow
  if (state.fp < kBelow || !bounds.HoldsWords(state.fp - kBelow, kWords)) return false;
  js::Frame description;
  if (!js::DescribeFrame(thread, state.pc, state.fp, description)) return false;
  frame.word = description.word;
  frame.auxiliary = description.auxiliary;
  frame.uses_fp = true;
  for (std::uint32_t i = 0; i < description.checked; ++i) slots[slot_count++] = description.slots[i];
  frame.slot_count = static_cast<std::uint16_t>(description.checked);
  return true;
}

void StackWalk::Run(ThreadState& thread, RowFinder& rows, const Registers& registers) {
  using format::FrameKind;
  const std::uint32_t max_depth = process.max_depth < format::kMaxMaxDepth ? process.max_depth : format::kMaxMaxDepth;
  if (process.unwinder == format::Unwinder::kLibunwind) return RunLibunwind(thread, registers, max_depth);
  const bool use_rows = process.unwinder == format::Unwinder::kRows;
  FrameState state{registers.pc, registers.sp, registers.fp, false};
  StackBounds bounds = BoundsAt(thread, state.sp);
  own_stack = OnOwnStack(thread, state.sp);
  count = slot_count = 0;
  for (;;) {
    last_pc = state.pc;
    const Row row = rows.Find(state.interrupted ? state.pc : state.pc - 1, use_rows);
    WalkedFrame& frame = frames[count++];
    frame = NativeFrame(state.interrupted ? FrameKind::kSignal : FrameKind::kNative, state.pc);
    if (row.rule == format::UnwindRule::kNoRow && js::engine != js::Engine::kNone)
      Describe(thread, bounds, state, frame);
    StepReads reads;
    const Outcome outcome = Step(row, bounds, state, reads);
    for (unsigned i = 0; i < reads.count; ++i) slots[slot_count++] = reads.slots[i];
    frame.slot_count = static_cast<std::uint16_t>(frame.slot_count + reads.count);
    frame.uses_fp = frame.uses_fp || reads.uses_fp;
    frame.reloads_fp = reads.reloads_fp;
    switch (outcome) {
      case Outcome::kEnd:
        end = WalkEnd::kOutermost;
        return;
      case Outcome::kBroken:
        // Frame pointers alone do not tell the end from a break: what calls main keeps something else in rbp.
        end = use_rows && last_pc != main_return ? WalkEnd::kBroken : WalkEnd::kOutermost;
        return;
      case Outcome::kSwitched:
        own_stack = own_stack && OnOwnStack(thread, state.sp);
        bounds = BoundsAt(thread, state.sp);
        break;
      case Outcome::kCaller:
        break;
    }
    if (count >= max_depth) {
      end = WalkEnd::kTruncated;
      return;
    }
  }
}

void StackWalk::RunLibunwind(ThreadState& thread, const Registers& registers, std::uint32_t max_depth) {
  std::uint32_t found = 0;
  {
    const QuietScope quiet(thread);
    found = BacktraceByLibunwind(addresses, max_depth + kOwnFrames + 1);
  }
  own_stack = false;  // which words were read is not known
  std::uint32_t next = 0;
  while (next < found && reinterpret_cast<std::uintptr_t>(addresses[next]) != registers.pc) ++next;
  end = next == found ? WalkEnd::kBroken : found - next > max_depth ? WalkEnd::kTruncated : WalkEnd::kOutermost;
  count = slot_count = 0;
  last_pc = registers.pc;
  do {
    if (next < found) last_pc = reinterpret_cast<std::uintptr_t>(addresses[next++]);
    frames[count++] = NativeFrame(format::FrameKind::kNative, last_pc);
  } while (next < found && count < max_depth);
}

}  // namespace leaktrace::preload
