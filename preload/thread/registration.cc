#include "preload/thread/registration.h"

#include "preload/base/memory.h"
#include "preload/base/spin_lock.h"
#include "preload/base/syscall.h"
#include "preload/session/clock.h"
#include "preload/session/session.h"
#include "preload/thread/ring_writer.h"
#include "preload/thread/stack_bounds.h"

namespace leaktrace::preload {
namespace {

using format::Op;
using format::SlotState;
using format::ThreadSlot;

constexpr std::uint32_t kNoSlot = ~0u;

constinit SpinLock reaping;

std::uint32_t FindFreeSlot() {
  format::SessionHeader& header = *shared_memory.header;
  ThreadSlot* const slots = shared_memory.Slots();
  for (std::uint32_t i = 0; i < shared_memory.ring_count; ++i) {
    SlotState free = SlotState::kFree;
    if (slots[i].state.load(std::memory_order_relaxed) != free) continue;
    // Matched by the recorder's release when it frees the slot: its last store of tail is seen.
    if (!slots[i].state.compare_exchange_strong(free, SlotState::kActive, std::memory_order_acquire)) continue;
    std::uint32_t count = header.slot_count.load(std::memory_order_relaxed);
    while (count < i + 1 && !header.slot_count.compare_exchange_weak(count, i + 1, std::memory_order_release)) {
    }
    return i;
  }
  return kNoSlot;
}

void UseSlot(ThreadState& thread, std::uint32_t index) {
  thread.slot_index = index;
  thread.slot = shared_memory.Slots() + index;
  thread.ring = shared_memory.Ring(index);
  thread.mask = shared_memory.header->options.ring_bytes / sizeof(std::uint64_t) - 1;
  thread.head = thread.slot->head.load(std::memory_order_relaxed);
  thread.limit = thread.head;  // the first record looks at the recorder's tail
}

// Threads that end without their destructors being run (a raw exit system call) leave their slots behind. Their rings
// have no writer any more, so the last record may be written for them.
void ReapDeadThreads() {
  constexpr long kNoSuchThread = -3;
  const SpinLockHolder holder(reaping);
  const std::uint32_t count = shared_memory.header->slot_count.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < count && i < shared_memory.ring_count; ++i) {
    ThreadSlot& slot = shared_memory.Slots()[i];
    if (slot.state.load(std::memory_order_relaxed) != SlotState::kActive || slot.tid == 0) continue;
    if (Syscall(SYS_tgkill, process.pid, slot.tid, 0) != kNoSuchThread) continue;
    ThreadState dead;
    UseSlot(dead, i);
    GiveSlotBack(dead);
  }
}

std::uint32_t AwaitFreeSlot() {
  constexpr int kTries = 1000;
  constexpr std::int64_t kNap = 1'000'000;
  for (int i = 0; i < kTries; ++i) {
    if (const std::uint32_t slot = FindFreeSlot(); slot != kNoSlot) return slot;
    if (i == 0) ReapDeadThreads();
    SleepNanoseconds(kNap);
  }
  return kNoSlot;
}

}  // namespace

bool TakeSlot(ThreadState& thread) {
  std::uint32_t index = FindFreeSlot();
  if (index == kNoSlot) index = AwaitFreeSlot();
  if (index == kNoSlot) {
    Stop(format::StopReason::kTooManyThreads,
         "more threads than the session has rings; recording stopped, the program goes on");
    return false;
  }
  UseSlot(thread, index);
  thread.slot->tid = ThreadId();
  FindStackBounds(thread);

  char name[16] = {};
  constexpr long kGetName = 16;
  Syscall(SYS_prctl, kGetName, Argument(name));
  name[sizeof(name) - 1] = '\0';
  return AppendVariable(thread, Op::kThreadStart, StampRelease(), name, Length(name));
}

void GiveSlotBack(ThreadState& thread) {
  Append(thread, RecordWord(Op::kThreadEnd, StampRelease()));
  // Matched by the recorder's acquire load: it then sees the last record.
  thread.slot->state.store(SlotState::kEnding, std::memory_order_release);
  thread.slot = nullptr;
  thread.ring = nullptr;
}

}  // namespace leaktrace::preload
