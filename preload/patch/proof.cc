#include "preload/patch/proof.h"

#include <signal.h>

#include "preload/base/memory.h"
#include "preload/base/syscall.h"
#include "preload/patch/hook_table.h"

namespace leaktrace::preload {
namespace {

using format::HookEntry;
using format::HookMapTable;
using format::HookRole;
using format::kNoRegister;

constexpr std::uint64_t kSmall = 48, kLarge = 4000, kHuge = 100'000, kAlignment = 4096;
constexpr int kRounds = 4096;  // a small page holds fewer blocks: one that was freed must come again
constexpr int kHeld = 64;
constexpr std::uint8_t kFill = 0xa5;

// One page of shared memory: what the child says.
struct Verdict {
  std::uint32_t current;  // entry that is being called, + 1
  std::uint32_t finished;
  std::uint8_t failed[format::kMaxHooks];
};

struct Prover {
  const HookMapTable& map;
  std::uintptr_t load_address;
  std::uint32_t allocator;
  const HookEntry* free_entry = nullptr;
  const HookEntry* allocate_entry = nullptr;

  std::uint64_t Call(const HookEntry& entry, const std::uint64_t (&arguments)[kArguments]) const {
    const auto function = reinterpret_cast<AnyFunction>(entry.address + load_address);
    return function(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  }
  std::uint8_t* Allocate(const HookEntry& entry, std::uint64_t size, std::uint64_t alignment) const {
    std::uint64_t arguments[kArguments] = {};
    arguments[entry.size_register] = size;
    if (entry.count_register != kNoRegister) arguments[entry.count_register] = 1;
    if (entry.alignment_register != kNoRegister) arguments[entry.alignment_register] = alignment;
    if (entry.role != HookRole::kPosixMemalign) return reinterpret_cast<std::uint8_t*>(Call(entry, arguments));
    std::uint8_t* block = nullptr;
    arguments[entry.out_register] = reinterpret_cast<std::uint64_t>(&block);
    return static_cast<std::uint32_t>(Call(entry, arguments)) == 0 ? block : nullptr;
  }
  std::uint8_t* Resize(const HookEntry& entry, std::uint8_t* block, std::uint64_t size, std::uint64_t alignment) const {
    std::uint64_t arguments[kArguments] = {};
    arguments[entry.size_register] = size;
    arguments[entry.pointer_register] = reinterpret_cast<std::uint64_t>(block);
    if (entry.count_register != kNoRegister) arguments[entry.count_register] = 1;
    if (entry.alignment_register != kNoRegister) arguments[entry.alignment_register] = alignment;
    return reinterpret_cast<std::uint8_t*>(Call(entry, arguments));
  }
  void Release(const HookEntry& entry, std::uint8_t* block) const {
    std::uint64_t arguments[kArguments] = {};
    arguments[entry.pointer_register] = reinterpret_cast<std::uint64_t>(block);
    Call(entry, arguments);
  }

  bool IsGood(const std::uint8_t* block, std::uint64_t alignment) const {
    return block != nullptr && (reinterpret_cast<std::uintptr_t>(block) & (alignment - 1)) == 0;
  }
  static bool Holds(const std::uint8_t* block, std::uint64_t size, std::uint8_t value) {
    for (std::uint64_t i = 0; i < size; ++i) {
      if (block[i] != value) return false;
    }
    return true;
  }

  // A freed block is handed out again.
  bool Recycles(const HookEntry& allocate, const HookEntry& release, std::uint64_t alignment) const {
    std::uint8_t* const first = Allocate(allocate, kSmall, alignment);
    if (!IsGood(first, alignment)) return false;
    __builtin_memset(first, kFill, kSmall);
    Release(release, first);
    bool again = false;
    for (int i = 0; i < kRounds && !again; ++i) {
      std::uint8_t* const block = Allocate(allocate, kSmall, alignment);
      if (!IsGood(block, alignment)) return false;
      again = block == first;
      Release(release, block);
    }
    return again;
  }

  bool AllocatesDistinct(const HookEntry& entry, std::uint64_t size, std::uint64_t alignment) const {
    std::uint8_t* held[kHeld];
    for (int i = 0; i < kHeld; ++i) {
      held[i] = Allocate(entry, size, alignment);
      if (!IsGood(held[i], alignment) || (entry.zeroes != 0 && !Holds(held[i], size, 0))) return false;
      __builtin_memset(held[i], i + 1, size);
    }
    bool distinct = true;
    for (int i = 0; i < kHeld; ++i) distinct = distinct && Holds(held[i], size, static_cast<std::uint8_t>(i + 1));
    for (std::uint8_t* const block : held) Release(*free_entry, block);
    return distinct;
  }

  bool ProveAllocate(const HookEntry& entry) const {
    const bool aligns = entry.alignment_register != kNoRegister;
    if (!AllocatesDistinct(entry, kSmall, 16) || !AllocatesDistinct(entry, kSmall, 16) ||
        !AllocatesDistinct(entry, kLarge, 16))
      return false;
    std::uint8_t* const huge = Allocate(entry, kHuge, aligns ? kAlignment : 16);
    if (!IsGood(huge, aligns ? kAlignment : 16)) return false;
    Release(*free_entry, huge);
    return Recycles(entry, *free_entry, 16) && (!aligns || AllocatesDistinct(entry, kSmall, kAlignment));
  }

  bool ProveReallocate(const HookEntry& entry) const {
    std::uint8_t* block = Resize(entry, nullptr, kSmall, 16);
    if (!IsGood(block, 16)) return false;
    __builtin_memset(block, kFill, kSmall);
    for (const std::uint64_t size : {kLarge, kHuge, kSmall}) {
      block = Resize(entry, block, size, 16);
      if (!IsGood(block, 16) || !Holds(block, kSmall, kFill)) return false;
    }
    Release(*free_entry, block);
    return true;
  }

  // Entries that take a heap, or an argument of unknown meaning before the others, cannot be called without one: they
  // rest on the structure alone.
  static bool IsCallable(const HookEntry& entry) {
    if (entry.heap_register != kNoRegister) return false;
    unsigned known = 0;
    for (const std::uint8_t number : {entry.size_register, entry.count_register, entry.alignment_register,
                                      entry.pointer_register, entry.out_register}) {
      if (number < kArguments) known |= 1u << number;
    }
    if ((known & (known + 1)) != 0) return false;
    switch (entry.role) {
      case HookRole::kAllocate:
      case HookRole::kReallocate:
      case HookRole::kPosixMemalign:
        return true;
      case HookRole::kFree:
        return entry.pointer_register == 0;
      default:
        return false;
    }
  }

  bool Prove(const HookEntry& entry) const {
    switch (entry.role) {
      case HookRole::kFree:
        return Recycles(*allocate_entry, entry, 16);
      case HookRole::kReallocate:
        return ProveReallocate(entry);
      default:
        return ProveAllocate(entry);
    }
  }

  bool FindReferences() {
    for (std::uint32_t i = 0; i < map.entry_count; ++i) {
      const HookEntry& entry = map.entries[i];
      if (entry.allocator != allocator || !IsCallable(entry)) continue;
      if (entry.role == HookRole::kFree && free_entry == nullptr) free_entry = &entry;
      const bool plain = entry.role == HookRole::kAllocate && entry.alignment_register == kNoRegister &&
                         entry.count_register == kNoRegister;
      if (plain && allocate_entry == nullptr) allocate_entry = &entry;
    }
    return free_entry != nullptr && allocate_entry != nullptr;
  }
};

void ProveAll(const HookMapTable& map, std::uintptr_t load_address, Verdict& verdict) {
  for (std::uint32_t allocator = 0; allocator < map.allocator_count; ++allocator) {
    Prover prover{map, load_address, allocator};
    const bool ready = prover.FindReferences();
    for (std::uint32_t i = 0; i < map.entry_count; ++i) {
      if (map.entries[i].allocator != allocator || !Prover::IsCallable(map.entries[i])) continue;
      __atomic_store_n(&verdict.current, i + 1, __ATOMIC_RELEASE);
      if (!ready || !prover.Prove(map.entries[i])) verdict.failed[i] = 1;
    }
  }
  __atomic_store_n(&verdict.finished, 1u, __ATOMIC_RELEASE);
}

// The child dies with its parent, leaves no core file, and reports no end of it to the parent's handlers.
[[noreturn]] void RunChild(const HookMapTable& map, std::uintptr_t load_address, Verdict& verdict) {
  constexpr long kSetDeathSignal = 1, kSetDumpable = 4;
  Syscall(SYS_prctl, kSetDeathSignal, SIGKILL);
  Syscall(SYS_prctl, kSetDumpable, 0);
  ProveAll(map, load_address, verdict);
  for (;;) Syscall(SYS_exit_group, 0);
}

bool AwaitChild(long child) {
  constexpr long kNoHang = 1, kWaitAll = 0x40000000;
  constexpr std::uint64_t kPatience = 2'000'000'000;
  constexpr std::int64_t kPoll = 200'000;
  const std::uint64_t begin = MonotonicNanoseconds();
  for (;;) {
    int status = 0;
    const long result = Syscall(SYS_wait4, child, Argument(&status), kNoHang | kWaitAll, 0);
    if (result == child) return status == 0;
    if (Failed(result)) return false;
    if (MonotonicNanoseconds() - begin > kPatience) break;
    SleepNanoseconds(kPoll);
  }
  Syscall(SYS_kill, child, SIGKILL);
  Syscall(SYS_wait4, child, 0, kWaitAll, 0);
  return false;
}

}  // namespace

void ProveEntries(HookMapTable& map, std::uintptr_t load_address, bool (&proved)[format::kMaxAllocators]) {
  constexpr long kReadWrite = 3, kSharedAnonymous = 0x21;
  for (bool& value : proved) value = false;
  const long pages = Syscall(SYS_mmap, 0, sizeof(Verdict), kReadWrite, kSharedAnonymous, -1, 0);
  if (Failed(pages)) return;
  auto& verdict = *reinterpret_cast<Verdict*>(pages);
  // No exit signal: the target's own handling of its children never sees this one.
  const long child = Syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (child == 0) RunChild(map, load_address, verdict);
  const bool ended = !Failed(child) && AwaitChild(child) && verdict.finished != 0;
  if (!Failed(child)) {
    for (std::uint32_t i = 0; i < map.allocator_count; ++i) proved[i] = ended;
    if (!ended && verdict.current != 0 && verdict.current <= map.entry_count) verdict.failed[verdict.current - 1] = 1;
    for (std::uint32_t i = 0; i < map.entry_count; ++i) {
      map.proof_failed[i] = verdict.failed[i];
      if (verdict.failed[i] != 0) proved[map.entries[i].allocator] = false;
    }
  }
  UnmapPages(&verdict, sizeof(Verdict));
}

}  // namespace leaktrace::preload
