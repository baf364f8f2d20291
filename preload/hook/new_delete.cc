// Every operator new and delete.
//
// The original operator new runs code of the target (the new-handler) and may throw, so no guard is raised around it: a
// label tells the allocation function that it calls who asked. An original that calls no hooked function (an allocator
// with operators of its own) leaves the label as it is, and the block is recorded here. The original operator delete
// runs nothing else: delete is an ordinary hook.
//
// The operators go by their mangled names, because the compiler gives C++ declarations of them attributes that do not
// hold here.
#include <cstddef>

#include "preload/base/attributes.h"
#include "preload/base/registers.h"
#include "preload/hook/original.h"
#include "preload/record/block.h"
#include "preload/thread/guard.h"

extern "C" {
void* malloc(std::size_t) noexcept;
void* aligned_alloc(std::size_t, std::size_t) noexcept;
void free(void*) noexcept;
}

namespace leaktrace::preload {
namespace {

using format::EntryPoint;

// The arguments of an operator beyond its first: sizes, alignments and tags, each in a register of its own.
using Word = std::size_t;
using New = void* (*)(Word, Word, Word);
using Delete = void (*)(void*, Word, Word);

// Where there is no C++ runtime. Nothing can be thrown then: failure is null.
void* NewByHand(Word bytes, Word, Word) { return malloc(bytes != 0 ? bytes : 1); }
void* NewAlignedByHand(Word bytes, Word alignment, Word) {
  return aligned_alloc(alignment, (bytes + alignment - 1) & ~(alignment - 1));
}
void DeleteByHand(void* block, Word, Word) { free(block); }

// Allocates by `original` from a hook whose caller is `caller`.
LEAKTRACE_HOT void* AllocateNew(const Registers& caller, EntryPoint entry, New original, Word bytes, Word second,
                                Word third) {
  ThreadState& thread = thread_state;
  // Not recorded; the thread's first event, which malloc will see to; or an operator that another one called: that
  // one's label holds.
  if (thread.session != process.session.load(std::memory_order_relaxed) || thread.guard != Guard::kOutside ||
      thread.label.entry != EntryPoint::kUnknown) {
    return original(bytes, second, third);
  }
  thread.label.bytes = bytes;
  thread.label.caller = caller;
  thread.label.entry = entry;
  void* const block = original(bytes, second, third);
  if (thread.label.entry != EntryPoint::kUnknown) [[unlikely]] {
    thread.label.entry = EntryPoint::kUnknown;
    const HookGuard guard;
    if (block != nullptr && guard.Records()) {
      guard.Write();
      RecordAllocation(guard.Thread(), caller, block, bytes, entry);
    }
  }
  return block;
}

LEAKTRACE_HOT void DeleteBlock(EntryPoint entry, Delete original, void* block, Word second, Word third) {
  if (block == nullptr) return;
  const HookGuard guard;
  if (guard.Records()) [[likely]] {
    guard.Write();
    RecordRelease(guard.Thread(), block, entry);
    guard.Rest();
  }
  original(block, second, third);
}

}  // namespace
}  // namespace leaktrace::preload

using namespace leaktrace::preload;  // NOLINT(google-build-using-namespace): the hooks below have the C++ ABI's names

// NAME(bytes, second, third): unused arguments are whatever the registers hold, and are passed on as they are.
#define LEAKTRACE_NEW(name, entry, by_hand)                                                         \
  LEAKTRACE_EXPORT void* name(Word bytes, Word second, Word third) {                                \
    static constinit Original<New> original{#name, by_hand, FindNextInCxxRuntime};                  \
    return AllocateNew(CallerRegisters(), EntryPoint::entry, original.Get(), bytes, second, third); \
  }

LEAKTRACE_NEW(_Znwm, kNew, NewByHand)
LEAKTRACE_NEW(_Znam, kNewArray, NewByHand)
LEAKTRACE_NEW(_ZnwmRKSt9nothrow_t, kNewNothrow, NewByHand)
LEAKTRACE_NEW(_ZnamRKSt9nothrow_t, kNewArrayNothrow, NewByHand)
LEAKTRACE_NEW(_ZnwmSt11align_val_t, kNewAligned, NewAlignedByHand)
LEAKTRACE_NEW(_ZnamSt11align_val_t, kNewArrayAligned, NewAlignedByHand)
LEAKTRACE_NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, kNewAligned, NewAlignedByHand)
LEAKTRACE_NEW(_ZnamSt11align_val_tRKSt9nothrow_t, kNewArrayAligned, NewAlignedByHand)

#define LEAKTRACE_DELETE(name, entry)                                                      \
  LEAKTRACE_EXPORT void name(void* block, Word second, Word third) noexcept {              \
    static constinit Original<Delete> original{#name, DeleteByHand, FindNextInCxxRuntime}; \
    DeleteBlock(EntryPoint::entry, original.Get(), block, second, third);                  \
  }

LEAKTRACE_DELETE(_ZdlPv, kDelete)
LEAKTRACE_DELETE(_ZdlPvm, kDelete)
LEAKTRACE_DELETE(_ZdlPvRKSt9nothrow_t, kDelete)
LEAKTRACE_DELETE(_ZdlPvSt11align_val_t, kDelete)
LEAKTRACE_DELETE(_ZdlPvmSt11align_val_t, kDelete)
LEAKTRACE_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, kDelete)
LEAKTRACE_DELETE(_ZdaPv, kDeleteArray)
LEAKTRACE_DELETE(_ZdaPvm, kDeleteArray)
LEAKTRACE_DELETE(_ZdaPvRKSt9nothrow_t, kDeleteArray)
LEAKTRACE_DELETE(_ZdaPvSt11align_val_t, kDeleteArray)
LEAKTRACE_DELETE(_ZdaPvmSt11align_val_t, kDeleteArray)
LEAKTRACE_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, kDeleteArray)
