#include "preload/record/stack_walk.h"

#include "preload/session/process.h"
#include "preload/unwind/readable_stack.h"

namespace leaktrace::preload {

void StackWalk::Run(ThreadState& thread, RowFinder& rows, const Registers& registers) {
  using format::FrameKind;
  const bool use_rows = process.unwinder != format::Unwinder::kFramePointer;
  const std::uint32_t max_depth = process.max_depth < format::kMaxMaxDepth ? process.max_depth : format::kMaxMaxDepth;
  FrameState state{registers.pc, registers.sp, registers.fp, false};
  StackBounds bounds = BoundsAt(thread, state.sp);
  own_stack = OnOwnStack(thread, state.sp);
  count = slot_count = 0;
  for (;;) {
    last_pc = state.pc;
    const Row row = rows.Find(state.interrupted ? state.pc : state.pc - 1, use_rows);
    WalkedFrame& frame = frames[count++];
    frame.word = format::FrameWord::Pack(state.interrupted ? FrameKind::kSignal : FrameKind::kNative, state.pc);
    frame.auxiliary = 0;
    StepReads reads;
    const Outcome outcome = Step(row, bounds, state, reads);
    for (unsigned i = 0; i < reads.count; ++i) slots[slot_count++] = reads.slots[i];
    frame.slot_count = static_cast<std::uint16_t>(reads.count);
    frame.uses_fp = reads.uses_fp;
    frame.reloads_fp = reads.reloads_fp;
    switch (outcome) {
      case Outcome::kEnd:
        end = WalkEnd::kOutermost;
        return;
      case Outcome::kBroken:
        end = WalkEnd::kBroken;
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

}  // namespace leaktrace::preload
