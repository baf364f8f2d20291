// Events of heap blocks.
//
// A release is recorded before the memory is given back, an acquisition after it was obtained (format/ring.h, "Order of
// events"). Every function here is called with the guard at kWriting.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/ring.h"
#include "preload/base/attributes.h"
#include "preload/base/registers.h"
#include "preload/record/stack_tree.h"
#include "preload/session/clock.h"
#include "preload/thread/ring_writer.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

LEAKTRACE_HOT std::uint64_t BlockWordOf(const ThreadState& thread, const void* block, format::EntryPoint entry,
                                        unsigned allocator) {
  return format::BlockWord::Pack(reinterpret_cast<std::uintptr_t>(block), static_cast<unsigned>(entry), allocator,
                                 static_cast<unsigned>(thread.phase));
}

// `block` of `bytes` requested bytes was allocated; it is not null.
LEAKTRACE_HOT void RecordAllocation(ThreadState& thread, const Registers& caller, const void* block, std::size_t bytes,
                                    format::EntryPoint entry, unsigned allocator = format::kAllocatorLibc) {
  const std::uint32_t node = CaptureStack(thread, caller);
  Append(thread, RecordWord(format::Op::kAlloc, StampAcquisition()), BlockWordOf(thread, block, entry, allocator),
         format::SizeWord::Pack(bytes, node));
}

// `block`, which is not null, is about to be freed.
LEAKTRACE_HOT void RecordRelease(ThreadState& thread, const void* block, format::EntryPoint entry,
                                 unsigned allocator = format::kAllocatorLibc) {
  Append(thread, RecordWord(format::Op::kFree, StampRelease()), BlockWordOf(thread, block, entry, allocator));
}

// `block`, which is not null, is about to be resized. False: the record was dropped; then what follows is an
// allocation, or nothing.
LEAKTRACE_HOT bool RecordResizeBegin(ThreadState& thread, const void* block, format::EntryPoint entry,
                                     unsigned allocator = format::kAllocatorLibc) {
  return Append(thread, RecordWord(format::Op::kReallocBegin, StampRelease()),
                BlockWordOf(thread, block, entry, allocator));
}

// ... and is `block` of `bytes` now.
LEAKTRACE_HOT void RecordResizeEnd(ThreadState& thread, const Registers& caller, const void* block, std::size_t bytes,
                                   format::EntryPoint entry, unsigned allocator = format::kAllocatorLibc) {
  const std::uint32_t node = CaptureStack(thread, caller);
  Append(thread, RecordWord(format::Op::kReallocEnd, StampAcquisition()), BlockWordOf(thread, block, entry, allocator),
         format::SizeWord::Pack(bytes, node));
}

// ... and is as it was: the resize failed.
LEAKTRACE_HOT void RecordResizeCancel(ThreadState& thread) {
  Append(thread, RecordWord(format::Op::kReallocCancel, StampRelease()));
}

}  // namespace leaktrace::preload
