// Remembers which node a stack led to, so that a stack that was walked before is known again without walking it.
//
// Why this is right: a walk is a function of the registers it begins with and of the words of the stack that it reads
// (return addresses, saved frame pointers, what names JavaScript frames). A *layout* holds where the words lay that one
// walk read, for a place (pc, sp): if the words at those places have the same values again, the walk would read the
// same words again and end at the same node. The values are compared by a 96-bit hash that also covers the layout.
// Words that were read but changed nothing, as a saved rbp that no caller uses as frame pointer, are left out: their
// values vary within the same stack.
//
// So the cost of a known stack is two loads per frame, which do not wait for each other as those of a walk do.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/base/attributes.h"
#include "preload/base/registers.h"
#include "preload/record/stack_walk.h"

namespace leaktrace::preload {

// One thread's memo, for stacks on the thread's own stack. Zeroed memory is an empty one.
class StackMemo {
 public:
  // What was entered for this stack; 0: not known. `registers.sp` must be on the thread's own stack.
  LEAKTRACE_HOT std::uint32_t Find(const Registers& registers) const {
    const Layout* const set = SetOf(registers);
    for (unsigned way = 0; way < kWays; ++way) {
      const Layout& layout = set[way];
      if (layout.pc != registers.pc || layout.sp != registers.sp || layout.generation != generation_) continue;
      const Key key = HashOf(layout, registers);
      for (const Entry& entry : entries_[key.high >> (64 - kEntrySetBits)]) {
        if (entry.low == key.low && entry.check == key.Check()) return entry.value;
      }
    }
    return 0;
  }

  // Enters `value`, not 0, for the stack of the last walk, which began at `registers` and was wholly on the thread's
  // own stack.
  LEAKTRACE_COLD void Enter(const StackWalk& walk, const Registers& registers, std::uint32_t value);

  // Forgets everything.
  void Clear() { ++generation_; }

 private:
  static constexpr unsigned kLayoutSetBits = 9, kWays = 2, kEntrySetBits = 11, kEntriesPerSet = 4;
  static constexpr unsigned kMaxWords = 236;
  static constexpr std::uint64_t kMultiplier =
      0x9e37'79b9'7f4a'7c15;  // 2^64 / golden ratio: spreads neighbouring numbers

  struct Layout {
    std::uintptr_t pc, sp;
    std::uint64_t seed;  // hash of this layout
    std::uint32_t generation;
    std::uint16_t count;             // of words, even
    bool uses_fp;                    // the fp at the beginning matters
    std::uint16_t words[kMaxWords];  // distances from sp, in words
  };

  struct Key {
    std::uint64_t low, high;
    [[nodiscard]] std::uint32_t Check() const { return static_cast<std::uint32_t>(high); }
  };

  struct Entry {
    std::uint64_t low;
    std::uint32_t check;
    std::uint32_t value;
  };

  [[nodiscard]] LEAKTRACE_HOT static std::size_t SetIndex(const Registers& registers) {
    return ((registers.pc ^ registers.sp << 20) * kMultiplier) >> (64 - kLayoutSetBits);
  }
  [[nodiscard]] LEAKTRACE_HOT const Layout* SetOf(const Registers& registers) const {
    return layouts_[SetIndex(registers)];
  }

  // Multiplies pairs of words, each offset by a number that depends on its place, and adds up the products.
  LEAKTRACE_HOT static Key HashOf(const Layout& layout, const Registers& registers) {
    const auto* const base = reinterpret_cast<const std::uint64_t*>(registers.sp);
    unsigned __int128 sum = layout.seed;
    std::uint64_t place = layout.uses_fp ? kMultiplier ^ registers.fp : kMultiplier;
    for (unsigned i = 0; i < layout.count; i += 2) {
      place += kMultiplier;
      const std::uint64_t a = base[layout.words[i]] ^ place, b = base[layout.words[i + 1]] + place;
      sum += static_cast<unsigned __int128>(a) * b;
    }
    const auto low = static_cast<std::uint64_t>(sum), high = static_cast<std::uint64_t>(sum >> 64);
    return {low, (high ^ low >> 32) * kMultiplier};
  }

  bool Describe(const StackWalk& walk, const Registers& registers, Layout& layout) const;

  std::uint32_t generation_;
  std::uint32_t next_victim_;
  Layout layouts_[1u << kLayoutSetBits][kWays];
  alignas(64) Entry entries_[1u << kEntrySetBits][kEntriesPerSet];
};

}  // namespace leaktrace::preload
