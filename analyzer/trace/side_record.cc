#include "analyzer/trace/side_record.h"

namespace leaktrace::trace {
namespace {

// A part's mapping is counted backwards from the next mapping: what is released was mapped not long ago, as a rule.
void EncodeParts(absl::Span<const MappingPart> parts, std::uint64_t mappings, ByteWriter& column) {
  column.Varint(parts.size());
  for (const MappingPart& part : parts) {
    column.Varint(mappings - part.mapping);
    column.Varint(part.bytes);
  }
}

bool DecodeParts(ByteReader& column, std::uint64_t mappings, std::vector<MappingPart>& parts) {
  const std::uint64_t count = column.Varint();
  if (count > column.left()) return false;
  for (std::uint64_t i = 0; i < count && column.ok(); ++i) {
    const std::uint64_t distance = column.Varint();
    const std::uint64_t bytes = column.Varint();
    if (distance == 0 || distance > mappings) return false;
    parts.push_back({mappings - distance, bytes});
  }
  return column.ok();
}

}  // namespace

void EncodeSideRecord(const SideRecord& record, std::uint64_t& mappings, ByteWriter& column) {
  switch (record.operation) {
    case Operation::kUnknownFree:
      column.Varint(record.address);
      column.Varint(static_cast<std::uint64_t>(record.entry));
      column.Varint(record.allocator);
      break;
    case Operation::kRemap:
      column.Varint(record.old_address);
      column.Varint(record.old_length);
      [[fallthrough]];
    case Operation::kMap:
      column.Varint(record.address);
      column.Varint(record.length);
      column.Varint(record.kind);
      column.Varint(record.protection);
      column.Varint(record.flags);
      column.Varint(record.file_offset + 1);
      EncodeParts(record.parts, mappings, column);
      ++mappings;
      break;
    case Operation::kAdvise:
      column.Varint(record.advice);
      [[fallthrough]];
    case Operation::kUnmap:
      column.Varint(record.address);
      column.Varint(record.length);
      EncodeParts(record.parts, mappings, column);
      break;
    case Operation::kSocket:
      column.Varint(static_cast<std::uint64_t>(record.socket_event));
      column.Signed(record.descriptor);
      column.Varint(record.bytes);
      break;
    case Operation::kHeapDestroy:
      column.Varint(record.address);
      column.Varint(record.allocator);
      break;
    case Operation::kAllocate:
    case Operation::kFree:
    case Operation::kReallocate:
    case Operation::kOverlap:
    case Operation::kCount:
      break;
  }
}

bool DecodeSideRecord(ByteReader& column, std::uint64_t& mappings, SideRecord& record,
                      std::vector<MappingPart>& parts) {
  switch (record.operation) {
    case Operation::kUnknownFree:
      record.address = column.Varint();
      record.entry = static_cast<format::EntryPoint>(column.Varint());
      record.allocator = static_cast<std::uint8_t>(column.Varint());
      break;
    case Operation::kRemap:
      record.old_address = column.Varint();
      record.old_length = column.Varint();
      [[fallthrough]];
    case Operation::kMap:
      record.address = column.Varint();
      record.length = column.Varint();
      record.kind = static_cast<std::uint32_t>(column.Varint());
      record.protection = static_cast<std::uint32_t>(column.Varint());
      record.flags = static_cast<std::uint32_t>(column.Varint());
      record.file_offset = column.Varint() - 1;
      if (!DecodeParts(column, mappings, parts)) return false;
      record.mapping = mappings++;
      break;
    case Operation::kAdvise:
      record.advice = static_cast<std::uint32_t>(column.Varint());
      [[fallthrough]];
    case Operation::kUnmap:
      record.address = column.Varint();
      record.length = column.Varint();
      if (!DecodeParts(column, mappings, parts)) return false;
      break;
    case Operation::kSocket:
      record.socket_event = static_cast<format::SocketEvent>(column.Varint());
      record.descriptor = static_cast<std::int32_t>(column.Signed());
      record.bytes = column.Varint();
      break;
    case Operation::kHeapDestroy:
      record.address = column.Varint();
      record.allocator = static_cast<std::uint8_t>(column.Varint());
      break;
    case Operation::kAllocate:
    case Operation::kFree:
    case Operation::kReallocate:
    case Operation::kOverlap:
    case Operation::kCount:
      return false;
  }
  return column.ok();
}

}  // namespace leaktrace::trace
