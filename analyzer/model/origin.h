// Where blocks come from: what allocations have in common, except their size. Everything that is counted is counted per
// origin.
#pragma once

#include <cstdint>

#include "analyzer/model/stack_tree.h"
#include "format/ring.h"

namespace leaktrace::model {

using OriginId = std::uint32_t;  // index into TraceModel::origins; 0 is kLostOrigin

// Stands for the blocks whose allocation was in a lost part of the trace. Its totals are those of such blocks that were
// freed.
inline constexpr OriginId kLostOrigin = 0;

struct Origin {
  FrameId stack = 0;  // innermost frame, 0 = no stack
  format::EntryPoint entry{};
  std::uint8_t allocator = 0;  // index into Integrity::allocators' names, see TraceModel::AllocatorName; 0 = libc
  format::RequestPhase request_phase{};
  bool js_heap = false;     // memory of the JavaScript heap
  bool mapping = false;     // made by mmap or mremap: counted apart from heap blocks everywhere
  std::uint32_t route = 0;  // index into TraceModel::routes; 0 = none
};

// Bytes are as requested. For origins with `mapping`, blocks are mappings and bytes are their lengths.
struct OriginTotals {
  std::uint64_t live_bytes = 0;  // at the end of the trace
  std::uint64_t live_blocks = 0;
  std::uint64_t allocations = 0;  // ever; a reallocation frees one block and allocates another
  std::uint64_t allocated_bytes = 0;
  std::uint64_t peak_bytes = 0;  // live when the live bytes of the heap were highest
  std::uint64_t peak_blocks = 0;

  std::uint64_t exit_bytes =
      0;  // live when the target began to exit, before its teardown; as live_bytes where it did not
  std::uint64_t exit_blocks = 0;

  [[nodiscard]] std::uint64_t frees() const { return allocations - live_blocks; }
  [[nodiscard]] std::uint64_t freed_bytes() const { return allocated_bytes - live_bytes; }
};

}  // namespace leaktrace::model
