// Events of memory mappings, in the same order relative to the call as those of blocks. All are called with the guard
// at kWriting. Facts only: what a partial unmap, a fixed mapping or a remap does to other mappings is the recorder's to
// work out.
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

// As passed to mmap; file_offset is MapWord::kAnonymous for an anonymous mapping.
struct MappingFacts {
  const void* address;
  std::size_t bytes;
  int protection;
  int flags;
  std::uint64_t file_offset;
};

LEAKTRACE_HOT bool AppendMapping(ThreadState& thread, const Registers& caller, format::Op op,
                                 const MappingFacts& facts) {
  const std::uint32_t node = CaptureStack(thread, caller);
  const std::uint64_t address = format::BlockWord::Pack(reinterpret_cast<std::uintptr_t>(facts.address), 0, 0,
                                                        static_cast<unsigned>(thread.phase));
  return Append(
      thread, RecordWord(op, StampAcquisition()), address, std::uint64_t{facts.bytes},
      format::MapWord::Pack(node, static_cast<unsigned>(facts.protection), static_cast<std::uint32_t>(facts.flags)),
      facts.file_offset);
}

LEAKTRACE_HOT void RecordMap(ThreadState& thread, const Registers& caller, const MappingFacts& facts) {
  AppendMapping(thread, caller, format::Op::kMap, facts);
}

LEAKTRACE_HOT bool AppendRange(ThreadState& thread, format::Op op, const void* address, std::size_t bytes) {
  return Append(thread, RecordWord(op, StampRelease()), std::uint64_t{reinterpret_cast<std::uintptr_t>(address)},
                std::uint64_t{bytes});
}

// munmap is about to be called. False: the record was dropped; then no cancel follows.
LEAKTRACE_HOT bool RecordUnmap(ThreadState& thread, const void* address, std::size_t bytes) {
  return AppendRange(thread, format::Op::kUnmap, address, bytes);
}

LEAKTRACE_HOT void RecordUnmapCancel(ThreadState& thread) {
  Append(thread, RecordWord(format::Op::kUnmapCancel, StampRelease()));
}

// mremap of what was [address, address + bytes) is about to be called. False: the record was dropped; then neither end
// nor cancel follows.
LEAKTRACE_HOT bool RecordRemapBegin(ThreadState& thread, const void* address, std::size_t bytes) {
  return AppendRange(thread, format::Op::kRemapBegin, address, bytes);
}

// `flags` are mremap's; protection and file are those of the old mapping.
LEAKTRACE_HOT void RecordRemapEnd(ThreadState& thread, const Registers& caller, const void* address, std::size_t bytes,
                                  int flags) {
  AppendMapping(thread, caller, format::Op::kRemapEnd,
                {.address = address,
                 .bytes = bytes,
                 .protection = 0,
                 .flags = flags,
                 .file_offset = format::MapWord::kAnonymous});
}

LEAKTRACE_HOT void RecordRemapCancel(ThreadState& thread) {
  Append(thread, RecordWord(format::Op::kRemapCancel, StampRelease()));
}

// madvise is about to give the range's memory back.
LEAKTRACE_HOT void RecordAdvise(ThreadState& thread, const void* address, std::size_t bytes, int advice) {
  Append(thread, RecordWord(format::Op::kAdvise, StampRelease()),
         std::uint64_t{reinterpret_cast<std::uintptr_t>(address)}, std::uint64_t{bytes},
         static_cast<std::uint64_t>(advice));
}

}  // namespace leaktrace::preload
