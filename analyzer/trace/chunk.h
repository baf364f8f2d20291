// Chunk headers (format/chunk.h): making and checking them.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "format/chunk.h"

namespace leaktrace::trace {

// The header of a chunk with this payload.
[[nodiscard]] format::ChunkHeader MakeChunkHeader(format::ChunkKind kind, std::uint64_t sequence,
                                                  absl::Span<const std::uint8_t> payload);

// True when the bytes (sizeof(ChunkHeader) of them) are a chunk's header: magic and header checksum are right and the
// payload's length is possible. The payload is not looked at.
[[nodiscard]] bool IsChunkHeader(const std::uint8_t* bytes);

}  // namespace leaktrace::trace
