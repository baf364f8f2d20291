#include "preload/patch/bodies.h"

#include <cstddef>

#include "preload/base/attributes.h"
#include "preload/base/registers.h"
#include "preload/patch/hook_table.h"
#include "preload/record/block.h"
#include "preload/thread/guard.h"

namespace leaktrace::preload {

PatchedHook patched_hooks[format::kMaxHooks];

namespace {

constexpr std::uint64_t kRedZone = 128;  // below a function's stack pointer; a site's stub steps over it
constexpr unsigned kFramePointer = 5;

LEAKTRACE_HOT std::uint64_t ArgumentOf(const CallFrame& frame, unsigned number) { return (&frame.rdi)[number]; }

LEAKTRACE_HOT std::uint64_t CallOriginal(const PatchedHook& hook, const CallFrame& frame) {
  return hook.original(frame.rdi, frame.rsi, frame.rdx, frame.rcx, frame.r8, frame.r9);
}

LEAKTRACE_HOT Registers CallerOf(const CallFrame& frame) {
  return {frame.return_address, reinterpret_cast<std::uintptr_t>(&frame + 1), frame.rbp};
}

LEAKTRACE_HOT std::size_t SizeOf(const PatchedHook& hook, const CallFrame& frame) {
  const std::size_t size = ArgumentOf(frame, hook.size);
  return hook.count == format::kNoRegister ? size : size * ArgumentOf(frame, hook.count);
}

LEAKTRACE_HOT void* Pointer(std::uint64_t value) { return reinterpret_cast<void*>(value); }

// A block was allocated; if in a heap that the program made, the heap is told too, so that it can be destroyed as a
// whole.
LEAKTRACE_HOT void NoteBlock(const HookGuard& guard, const PatchedHook& hook, const CallFrame& frame, void* block) {
  ThreadState& thread = guard.Thread();
  guard.Write();
  RecordAllocation(thread, CallerOf(frame), block, SizeOf(hook, frame), hook.entry, hook.allocator);
  if (hook.heap != format::kNoRegister) {
    Append(thread, RecordWord(format::Op::kHeapBlock, StampAcquisition()),
           BlockWordOf(thread, Pointer(ArgumentOf(frame, hook.heap)), hook.entry, hook.allocator));
  }
}

// The block size that a page holds.
std::size_t BlockSizeOf(const PatchedHook& hook, std::uint64_t page) {
  const auto* const field = static_cast<const std::uint8_t*>(Pointer(page)) + hook.block_size_offset;
  std::uint64_t size = 0;
  __builtin_memcpy(&size, field, hook.block_size_bytes < sizeof size ? hook.block_size_bytes : sizeof size);
  return size;
}

Registers SiteRegisters(const PatchedHook& hook, const SiteFrame& frame) {
  // The stub pushed the index after it stepped over the red zone.
  return {hook.place, reinterpret_cast<std::uintptr_t>(&frame + 1) + kRedZone, frame.registers[kFramePointer]};
}

}  // namespace
}  // namespace leaktrace::preload

using leaktrace::format::kNoRegister;
using leaktrace::preload::HookGuard;
using leaktrace::preload::patched_hooks;
using leaktrace::preload::PatchedHook;
namespace format = leaktrace::format;
namespace preload = leaktrace::preload;

std::uint64_t leaktrace_on_allocate(const CallFrame* frame) {
  const PatchedHook& hook = patched_hooks[frame->index];
  const HookGuard guard;
  if (!guard.Records()) [[unlikely]]
    return preload::CallOriginal(hook, *frame);
  const std::uint64_t block = preload::CallOriginal(hook, *frame);
  if (block != 0) [[likely]]
    preload::NoteBlock(guard, hook, *frame, preload::Pointer(block));
  return block;
}

std::uint64_t leaktrace_on_free(const CallFrame* frame) {
  const PatchedHook& hook = patched_hooks[frame->index];
  void* const block = preload::Pointer(preload::ArgumentOf(*frame, hook.pointer));
  if (block == nullptr) return preload::CallOriginal(hook, *frame);
  const HookGuard guard;
  if (guard.Records()) [[likely]] {
    guard.Write();
    preload::RecordRelease(guard.Thread(), block, hook.entry, hook.allocator);
    guard.Rest();
  }
  return preload::CallOriginal(hook, *frame);
}

std::uint64_t leaktrace_on_reallocate(const CallFrame* frame) {
  const PatchedHook& hook = patched_hooks[frame->index];
  void* const old = preload::Pointer(preload::ArgumentOf(*frame, hook.pointer));
  const HookGuard guard;
  if (!guard.Records()) [[unlikely]]
    return preload::CallOriginal(hook, *frame);
  if (old == nullptr) {
    const std::uint64_t block = preload::CallOriginal(hook, *frame);
    if (block != 0) preload::NoteBlock(guard, hook, *frame, preload::Pointer(block));
    return block;
  }
  preload::ThreadState& thread = guard.Thread();
  guard.Write();
  const bool begun = preload::RecordResizeBegin(thread, old, hook.entry, hook.allocator);
  guard.Rest();
  const std::uint64_t block = preload::CallOriginal(hook, *frame);
  guard.Write();
  if (block != 0 && !begun) {
    preload::NoteBlock(guard, hook, *frame, preload::Pointer(block));
  } else if (block != 0) {
    preload::RecordResizeEnd(thread, preload::CallerOf(*frame), preload::Pointer(block), preload::SizeOf(hook, *frame),
                             hook.entry, hook.allocator);
    if (hook.heap != kNoRegister) {
      preload::Append(thread, preload::RecordWord(format::Op::kHeapBlock, preload::StampAcquisition()),
                      preload::BlockWordOf(thread, preload::Pointer(preload::ArgumentOf(*frame, hook.heap)), hook.entry,
                                           hook.allocator));
    }
  } else if (begun && (hook.flags & format::kHookFreesOnFailure) != 0) {
    preload::Append(thread, preload::RecordWord(format::Op::kReallocEnd, preload::StampAcquisition()),
                    preload::BlockWordOf(thread, nullptr, hook.entry, hook.allocator), std::uint64_t{0});
  } else if (begun) {
    preload::RecordResizeCancel(thread);
  }
  return block;
}

std::uint64_t leaktrace_on_posix_memalign(const CallFrame* frame) {
  const PatchedHook& hook = patched_hooks[frame->index];
  const HookGuard guard;
  const std::uint64_t error = preload::CallOriginal(hook, *frame);
  if (!guard.Records() || static_cast<std::uint32_t>(error) != 0) return error;
  void* const block = *static_cast<void**>(preload::Pointer(preload::ArgumentOf(*frame, hook.out)));
  if (block != nullptr) preload::NoteBlock(guard, hook, *frame, block);
  return error;
}

std::uint64_t leaktrace_on_heap_destroy(const CallFrame* frame) {
  const PatchedHook& hook = patched_hooks[frame->index];
  void* const heap = preload::Pointer(preload::ArgumentOf(*frame, hook.heap));
  const HookGuard guard;
  if (guard.Records() && heap != nullptr) {
    guard.Write();
    preload::Append(guard.Thread(), preload::RecordWord(format::Op::kHeapDestroy, preload::StampRelease()),
                    preload::BlockWordOf(guard.Thread(), heap, hook.entry, hook.allocator));
    // The heap's own memory is a block that was recorded when the heap was made.
    guard.Rest();
  }
  return preload::CallOriginal(hook, *frame);
}

std::uint64_t leaktrace_on_heap_delete(const CallFrame* frame) {
  return preload::CallOriginal(patched_hooks[frame->index], *frame);
}

void leaktrace_on_allocate_site(const SiteFrame* frame) {
  const PatchedHook& hook = patched_hooks[frame->index];
  const HookGuard guard;
  if (!guard.Records()) return;
  guard.Write();
  preload::RecordAllocation(guard.Thread(), preload::SiteRegisters(hook, *frame),
                            preload::Pointer(frame->registers[hook.pointer]),
                            preload::BlockSizeOf(hook, frame->registers[hook.heap]), hook.entry, hook.allocator);
}

void leaktrace_on_free_site(const SiteFrame* frame) {
  const PatchedHook& hook = patched_hooks[frame->index];
  const HookGuard guard;
  if (!guard.Records()) return;
  guard.Write();
  preload::RecordRelease(guard.Thread(), preload::Pointer(frame->registers[hook.pointer]), hook.entry, hook.allocator);
}
