// What an event has beyond its operation, for the operations that are neither allocate, free, reallocate nor overlap;
// and the column that holds it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "analyzer/trace/byte_stream.h"
#include "analyzer/trace/operation.h"
#include "format/ring.h"

namespace leaktrace::trace {

// A part of an earlier mapping that an event released (unmap, remap, map over it) or advised about.
struct MappingPart {
  std::uint64_t mapping = 0;  // number of the mapping
  std::uint64_t bytes = 0;

  friend bool operator==(const MappingPart&, const MappingPart&) = default;
};

struct SideRecord {
  std::uint32_t event = 0;  // index of the event in its batch
  Operation operation = Operation::kMap;
  // kMap, kRemap (after the move), kUnmap, kAdvise: the range. kUnknownFree: the pointer. kHeapDestroy: the heap; its
  // blocks' frees follow.
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  std::uint64_t old_address = 0, old_length = 0;  // kRemap: the range before
  std::uint64_t mapping = 0;                      // kMap, kRemap: number of the mapping that begins here, from 0
  std::uint32_t kind = 0;  // kMap, kRemap: stack, entry point, request phase and route; its size always varies
  std::uint32_t protection = 0, flags = 0;  // kMap, kRemap: as passed to mmap
  std::uint64_t file_offset = ~0ull;        // kMap, kRemap: ~0 = anonymous
  std::uint32_t advice = 0;                 // kAdvise: as passed to madvise
  std::int32_t descriptor = 0;              // kSocket
  format::SocketEvent socket_event{};       // kSocket
  std::uint64_t bytes = 0;                  // kSocket: bytes moved; for kAccepted the listening descriptor
  format::EntryPoint entry{};               // kUnknownFree
  std::uint8_t allocator = 0;               // kUnknownFree, kHeapDestroy
  absl::Span<const MappingPart> parts =
      {};  // kMap (what it replaced), kRemap (what it moved or replaced), kUnmap, kAdvise
};

// Appends the record's fields to the column. `mappings` is the number that the next mapping gets; a map or remap moves
// it on.
void EncodeSideRecord(const SideRecord& record, std::uint64_t& mappings, ByteWriter& column);

// Reads back what EncodeSideRecord wrote: fills all fields but `event` from the column, for record.operation. The parts
// are appended to `parts` and record.parts is left empty: the caller sets it once `parts` grows no more. Returns false
// when the column is damaged; then it has neither read beyond its end nor appended more parts than the column has
// bytes.
[[nodiscard]] bool DecodeSideRecord(ByteReader& column, std::uint64_t& mappings, SideRecord& record,
                                    std::vector<MappingPart>& parts);

}  // namespace leaktrace::trace
