// The framing of a trace file: a sequence of chunks, each with its own checksum, so that a truncated or damaged file is read up to and
// beyond the damage. The payload of a chunk is one Cap'n Proto message of trace.capnp. format/README.md draws the layout.
#pragma once

#include <cstdint>

namespace leaktrace::format {

inline constexpr std::uint32_t kChunkMagic = 0x4b48434c;  // "LCHK" in the file
inline constexpr std::uint16_t kTraceVersion = 1;         // a reader refuses a file whose first chunk has a larger one
inline constexpr std::uint32_t kMaxChunkBytes = 64 << 20;

enum class ChunkKind : std::uint16_t {
  kHeader = 1,        // TraceHeader; the first chunk of a file, once
  kModules = 2,       // ModuleList
  kFrames = 3,        // FrameTable: nodes of the stack tree
  kKinds = 4,         // KindTable: what allocations have in common
  kEvents = 5,        // EventBlock
  kMarks = 6,         // MarkList
  kMemory = 7,        // MemorySamples
  kJsHeap = 8,        // JsHeapSamples
  kCode = 9,          // CodeNames
  kCounters = 10,     // Counters
  kHookMap = 11,      // HookMap
  kFooter = 12,       // Footer; the last chunk of a complete file
  kSymbols = 13,      // SymbolTable: added by `leaktrace bundle`
};

// Little-endian, 32 bytes, without padding.
struct ChunkHeader {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t kind;            // ChunkKind; unknown kinds are skipped and counted
  std::uint32_t payload_bytes;   // a multiple of 8, at most kMaxChunkBytes
  std::uint32_t payload_crc;     // CRC32C (RFC 3720 appendix B.4) of the payload
  std::uint64_t sequence;        // 0, 1, 2, ... in the file: a gap tells what is missing
  std::uint32_t reserved;
  std::uint32_t header_crc;      // CRC32C of the 28 bytes before
};
static_assert(sizeof(ChunkHeader) == 32);

}  // namespace leaktrace::format
