#include "preload/record/stack_memo.h"

namespace leaktrace::preload {
namespace {

// Marks in `needed` the frames whose caller's fp, as it was read at their last slot, made a difference further out.
// True: the fp that the walk began with did.
bool FindNeededFramePointers(const StackWalk& walk, bool* needed) {
  bool wanted = false;  // the fp of the frame one further out made a difference
  for (std::uint32_t i = walk.count; i-- > 0;) {
    const WalkedFrame& frame = walk.frames[i];
    needed[i] = frame.reloads_fp && wanted;
    wanted = frame.uses_fp || (wanted && !frame.reloads_fp);
  }
  return wanted;
}

}  // namespace

bool StackMemo::Describe(const StackWalk& walk, const Registers& registers, Layout& layout) const {
  bool needed[format::kMaxMaxDepth];
  layout.pc = registers.pc;
  layout.sp = registers.sp;
  layout.generation = generation_;
  layout.uses_fp = FindNeededFramePointers(walk, needed);
  std::uint64_t seed = (registers.pc * kMultiplier ^ registers.sp) * kMultiplier + generation_ * 2 + layout.uses_fp;
  std::uint32_t slot = 0;
  unsigned count = 0;
  for (std::uint32_t i = 0; i < walk.count; ++i) {
    const WalkedFrame& frame = walk.frames[i];
    const std::uint32_t used = frame.slot_count - (frame.reloads_fp && !needed[i] ? 1 : 0);
    for (std::uint32_t j = 0; j < used; ++j) {
      const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(walk.slots[slot + j]);
      const std::uint64_t distance = (at - registers.sp) / 8;
      if (distance > 0xffff || count == kMaxWords) return false;
      layout.words[count++] = static_cast<std::uint16_t>(distance);
      seed = (seed ^ distance) * kMultiplier;
      seed ^= seed >> 29;
    }
    slot += frame.slot_count;
  }
  if (count == 0) return false;
  if (count % 2 != 0) {
    layout.words[count] = layout.words[count - 1];
    ++count;
  }
  layout.count = static_cast<std::uint16_t>(count);
  layout.seed = seed;
  return true;
}

void StackMemo::Enter(const StackWalk& walk, const Registers& registers, std::uint32_t value) {
  Layout* const set = layouts_[SetIndex(registers)];
  Layout& victim = set[next_victim_++ % kWays];
  Layout described;
  if (!Describe(walk, registers, described)) return;
  const Layout* layout = nullptr;
  for (unsigned way = 0; way < kWays; ++way) {
    if (set[way].seed == described.seed && set[way].pc == described.pc && set[way].sp == described.sp)
      layout = &set[way];
  }
  if (layout == nullptr) {
    victim = described;
    layout = &victim;
  }
  const Key key = HashOf(*layout, registers);
  Entry* const entries = entries_[key.high >> (64 - kEntrySetBits)];
  Entry* place = &entries[next_victim_ % kEntriesPerSet];
  for (unsigned i = 0; i < kEntriesPerSet; ++i) {
    if (entries[i].value == 0) place = &entries[i];
  }
  *place = {key.low, key.Check(), value};
}

}  // namespace leaktrace::preload
