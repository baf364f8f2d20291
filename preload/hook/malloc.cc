// The malloc family.
//
// Each hook: take the guard, call the original, record. A release is recorded before the original is called, an
// acquisition after it.
#include <cstddef>
#include <cstdint>

#include "preload/base/attributes.h"
#include "preload/base/memory.h"
#include "preload/base/registers.h"
#include "preload/hook/bootstrap.h"
#include "preload/hook/original.h"
#include "preload/record/block.h"
#include "preload/record/early.h"
#include "preload/thread/guard.h"

namespace leaktrace::preload {
namespace {

using format::EntryPoint;

using Allocate = void* (*)(std::size_t);
using AllocateArray = void* (*)(std::size_t, std::size_t);
using Reallocate = void* (*)(void*, std::size_t);
using ReallocateArray = void* (*)(void*, std::size_t, std::size_t);
using PosixMemalign = int (*)(void**, std::size_t, std::size_t);
using Free = void (*)(void*);
using FreeSized = void (*)(void*, std::size_t);
using FreeAlignedSized = void (*)(void*, std::size_t, std::size_t);

constexpr std::size_t kPage = 4096;
constexpr int kInvalidArgument = 22, kNoMemory = 12;

constinit Original<Allocate> original_malloc{"malloc", BootstrapAllocate};
constinit Original<AllocateArray> original_calloc{"calloc", BootstrapAllocateZeroed};
constinit Original<Reallocate> original_realloc{"realloc", BootstrapReallocate};
constinit Original<Free> original_free{"free", BootstrapFree};
constinit Original<AllocateArray> original_memalign{"memalign", BootstrapAllocateAligned};
constinit Original<AllocateArray> original_aligned_alloc{"aligned_alloc", BootstrapAllocateAligned};

// What libcs lack is made of what they have.
void* ReallocateArrayByHand(void* block, std::size_t count, std::size_t bytes) {
  std::size_t total = 0;
  return __builtin_mul_overflow(count, bytes, &total) ? nullptr : original_realloc.Get()(block, total);
}
int PosixMemalignByHand(void** out, std::size_t alignment, std::size_t bytes) {
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return kInvalidArgument;
  void* const block = original_memalign.Get()(alignment, bytes);
  if (block == nullptr) return kNoMemory;
  *out = block;
  return 0;
}
void* PageAllocateByHand(std::size_t bytes) { return original_memalign.Get()(kPage, bytes); }
void* WholePagesAllocateByHand(std::size_t bytes) {
  const std::size_t rounded = (bytes + kPage - 1) & ~(kPage - 1);
  return rounded < bytes ? nullptr : original_memalign.Get()(kPage, rounded);
}
void FreeSizedByHand(void* block, std::size_t) { original_free.Get()(block); }
void FreeAlignedSizedByHand(void* block, std::size_t, std::size_t) { original_free.Get()(block); }

constinit Original<ReallocateArray> original_reallocarray{"reallocarray", ReallocateArrayByHand};
constinit Original<PosixMemalign> original_posix_memalign{"posix_memalign", PosixMemalignByHand};
constinit Original<Allocate> original_valloc{"valloc", PageAllocateByHand};
constinit Original<Allocate> original_pvalloc{"pvalloc", WholePagesAllocateByHand};
constinit Original<FreeSized> original_free_sized{"free_sized", FreeSizedByHand};
constinit Original<FreeAlignedSized> original_free_aligned_sized{"free_aligned_sized", FreeAlignedSizedByHand};

// Where nothing is recorded. What happens before the process has decided is kept, unless it is the library's own doing.
LEAKTRACE_HOT bool IsEarly() {
  return process.session.load(std::memory_order_relaxed) == kUndecided && thread_state.guard == Guard::kOutside;
}

LEAKTRACE_HOT void* Unrecorded(void* block, std::size_t bytes, EntryPoint entry) {
  if (IsEarly() && !IsBootstrapBlock(block)) NoteEarlyAllocation(block, bytes, entry);
  return block;
}

LEAKTRACE_HOT void UnrecordedRelease(void* block) {
  if (IsEarly()) NoteEarlyRelease(block);
}

// `block` was allocated within the guard. operator new may have left a label that says who really asked for it.
LEAKTRACE_HOT void Allocated(const HookGuard& guard, const Registers& caller, void* block, std::size_t bytes,
                             EntryPoint entry) {
  ThreadState& thread = guard.Thread();
  const EntryPoint label = thread.label.entry;
  thread.label.entry = EntryPoint::kUnknown;
  if (block == nullptr) return;
  guard.Write();
  if (label != EntryPoint::kUnknown) {
    RecordAllocation(thread, thread.label.caller, block, thread.label.bytes, label);
  } else {
    RecordAllocation(thread, caller, block, bytes, entry);
  }
}

// `free` and its kin. `release` calls the original.
template <typename Release>
LEAKTRACE_HOT void FreeBlock(void* block, EntryPoint entry, Release release) {
  if (IsBootstrapBlock(block)) [[unlikely]]
    return;
  if (block == nullptr) return;
  const HookGuard guard;
  if (!guard.Records()) [[unlikely]] {
    UnrecordedRelease(block);
    release();
    return;
  }
  guard.Write();
  RecordRelease(guard.Thread(), block, entry);
  guard.Rest();
  release();
}

// A block of the bootstrap area moves to the heap.
LEAKTRACE_COLD void* MoveFromBootstrap(void* block, std::size_t bytes) {
  void* const result = original_malloc.Get()(bytes);
  if (result == nullptr) return nullptr;
  const std::size_t before = BootstrapSize(block);
  Copy(result, block, before < bytes ? before : bytes);
  return result;
}

LEAKTRACE_COLD void* UnrecordedResize(void* block, void* result, std::size_t bytes, EntryPoint entry) {
  if (!IsEarly() || (result == nullptr && bytes != 0)) return result;
  NoteEarlyRelease(block);
  NoteEarlyAllocation(result, bytes, entry);
  return result;
}

// `realloc` and `reallocarray`; `overflow`: the size asked for cannot be expressed, and the original will fail.
template <typename Resize>
LEAKTRACE_HOT void* ResizeBlock(const Registers& caller, void* block, std::size_t bytes, bool overflow,
                                EntryPoint entry, Resize resize) {
  if (block != nullptr && IsBootstrapBlock(block)) [[unlikely]] {
    return overflow ? nullptr : Unrecorded(MoveFromBootstrap(block, bytes), bytes, entry);
  }
  const HookGuard guard;
  if (!guard.Records()) [[unlikely]]
    return UnrecordedResize(block, resize(), bytes, entry);
  if (block == nullptr) {
    void* const result = resize();
    Allocated(guard, caller, result, bytes, entry);
    return result;
  }
  guard.Write();
  if (bytes == 0 && !overflow) {
    // glibc frees the block and returns null; musl and others free it and return one of minimal size.
    RecordRelease(guard.Thread(), block, entry);
    guard.Rest();
    void* const result = resize();
    Allocated(guard, caller, result, bytes, entry);
    return result;
  }
  const bool begun = RecordResizeBegin(guard.Thread(), block, entry);
  guard.Rest();
  void* const result = resize();
  guard.Write();
  if (!begun) {
    if (result != nullptr && result != block) RecordAllocation(guard.Thread(), caller, result, bytes, entry);
  } else if (result == nullptr) {
    RecordResizeCancel(guard.Thread());
  } else {
    RecordResizeEnd(guard.Thread(), caller, result, bytes, entry);
  }
  return result;
}

}  // namespace
}  // namespace leaktrace::preload

using namespace leaktrace::preload;  // NOLINT(google-build-using-namespace): the hooks below have C's names

LEAKTRACE_EXPORT void* malloc(std::size_t bytes) noexcept {
  const HookGuard guard;
  void* const block = original_malloc.Get()(bytes);
  if (!guard.Records()) [[unlikely]]
    return Unrecorded(block, bytes, EntryPoint::kMalloc);
  Allocated(guard, CallerRegisters(), block, bytes, EntryPoint::kMalloc);
  return block;
}

LEAKTRACE_EXPORT void* calloc(std::size_t count, std::size_t bytes) noexcept {
  const HookGuard guard;
  void* const block = original_calloc.Get()(count, bytes);
  if (!guard.Records()) [[unlikely]]
    return Unrecorded(block, count * bytes, EntryPoint::kCalloc);
  Allocated(guard, CallerRegisters(), block, count * bytes, EntryPoint::kCalloc);
  return block;
}

LEAKTRACE_EXPORT void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  const HookGuard guard;
  void* const block = original_memalign.Get()(alignment, bytes);
  if (!guard.Records()) [[unlikely]]
    return Unrecorded(block, bytes, EntryPoint::kMemalign);
  Allocated(guard, CallerRegisters(), block, bytes, EntryPoint::kMemalign);
  return block;
}

LEAKTRACE_EXPORT void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  const HookGuard guard;
  void* const block = original_aligned_alloc.Get()(alignment, bytes);
  if (!guard.Records()) [[unlikely]]
    return Unrecorded(block, bytes, EntryPoint::kAlignedAlloc);
  Allocated(guard, CallerRegisters(), block, bytes, EntryPoint::kAlignedAlloc);
  return block;
}

LEAKTRACE_EXPORT int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) noexcept {
  const HookGuard guard;
  const int result = original_posix_memalign.Get()(out, alignment, bytes);
  void* const block = result == 0 ? *out : nullptr;
  if (!guard.Records()) [[unlikely]] {
    Unrecorded(block, bytes, EntryPoint::kPosixMemalign);
    return result;
  }
  Allocated(guard, CallerRegisters(), block, bytes, EntryPoint::kPosixMemalign);
  return result;
}

LEAKTRACE_EXPORT void* valloc(std::size_t bytes) noexcept {
  const HookGuard guard;
  void* const block = original_valloc.Get()(bytes);
  if (!guard.Records()) [[unlikely]]
    return Unrecorded(block, bytes, EntryPoint::kValloc);
  Allocated(guard, CallerRegisters(), block, bytes, EntryPoint::kValloc);
  return block;
}

LEAKTRACE_EXPORT void* pvalloc(std::size_t bytes) noexcept {
  const HookGuard guard;
  void* const block = original_pvalloc.Get()(bytes);
  if (!guard.Records()) [[unlikely]]
    return Unrecorded(block, bytes, EntryPoint::kPvalloc);
  Allocated(guard, CallerRegisters(), block, bytes, EntryPoint::kPvalloc);
  return block;
}

LEAKTRACE_EXPORT void* realloc(void* block, std::size_t bytes) noexcept {
  return ResizeBlock(CallerRegisters(), block, bytes, false, EntryPoint::kRealloc,
                     [=] { return original_realloc.Get()(block, bytes); });
}

LEAKTRACE_EXPORT void* reallocarray(void* block, std::size_t count, std::size_t bytes) noexcept {
  std::size_t total = 0;
  const bool overflow = __builtin_mul_overflow(count, bytes, &total);
  return ResizeBlock(CallerRegisters(), block, total, overflow, EntryPoint::kReallocarray,
                     [=] { return original_reallocarray.Get()(block, count, bytes); });
}

LEAKTRACE_EXPORT void free(void* block) noexcept {
  FreeBlock(block, EntryPoint::kFree, [=] { original_free.Get()(block); });
}

LEAKTRACE_EXPORT void free_sized(void* block, std::size_t bytes) noexcept {
  FreeBlock(block, EntryPoint::kFreeSized, [=] { original_free_sized.Get()(block, bytes); });
}

LEAKTRACE_EXPORT void free_aligned_sized(void* block, std::size_t alignment, std::size_t bytes) noexcept {
  FreeBlock(block, EntryPoint::kFreeAlignedSized, [=] { original_free_aligned_sized.Get()(block, alignment, bytes); });
}
