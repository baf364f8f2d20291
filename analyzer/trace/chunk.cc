#include "analyzer/trace/chunk.h"

#include <cstddef>
#include <cstring>

#include "analyzer/trace/crc32c.h"

namespace leaktrace::trace {
namespace {

using format::ChunkHeader;

std::uint32_t HeaderChecksum(const ChunkHeader& header) {
  return Crc32c({reinterpret_cast<const std::uint8_t*>(&header), offsetof(ChunkHeader, header_crc)});
}

}  // namespace

ChunkHeader MakeChunkHeader(format::ChunkKind kind, std::uint64_t sequence, absl::Span<const std::uint8_t> payload) {
  ChunkHeader header{.magic = format::kChunkMagic,
                     .version = format::kTraceVersion,
                     .kind = static_cast<std::uint16_t>(kind),
                     .payload_bytes = static_cast<std::uint32_t>(payload.size()),
                     .payload_crc = Crc32c(payload),
                     .sequence = sequence,
                     .reserved = 0,
                     .header_crc = 0};
  header.header_crc = HeaderChecksum(header);
  return header;
}

bool IsChunkHeader(const std::uint8_t* bytes) {
  ChunkHeader header;
  std::memcpy(&header, bytes, sizeof(header));
  return header.magic == format::kChunkMagic && header.header_crc == HeaderChecksum(header) &&
         header.payload_bytes % 8 == 0 && header.payload_bytes <= format::kMaxChunkBytes;
}

}  // namespace leaktrace::trace
