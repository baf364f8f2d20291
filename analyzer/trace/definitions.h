// The columns of frames and kinds: what events refer to. An encoder and its decoder stand side by side.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/trace/byte_stream.h"
#include "analyzer/trace/column.h"
#include "analyzer/trace/operation.h"
#include "format/ring.h"
#include "format/trace.capnp.h"

namespace leaktrace::trace {

// Most frames or kinds that one chunk may hold: bounds what a reader allocates for it.
inline constexpr std::uint32_t kMaxTableEntries = 1 << 18;

struct Frame {
  std::uint32_t parent = 0;  // 0 = outermost
  format::FrameKind kind{};
  std::uint64_t value = 0;
  std::uint32_t auxiliary = 0;
};

// Collects frames until a chunk of them is written. Ids go on from chunk to chunk.
class FrameEncoder {
 public:
  // Returns the frame's id. The parent must have been added before. At most kMaxTableEntries between two calls of
  // Write.
  std::uint32_t Add(const Frame& frame);

  [[nodiscard]] std::uint32_t pending() const { return next_id_ - first_id_; }
  [[nodiscard]] std::uint32_t next_id() const { return next_id_; }

  // Moves what was added since the last call into the table.
  void Write(format::trace::FrameTable::Builder table, ColumnCompressor& compressor);

 private:
  std::uint32_t first_id_ = 1;
  std::uint32_t next_id_ = 1;
  std::uint64_t last_value_ = 0;
  ByteWriter parents_, values_, kinds_, auxiliaries_;
};

struct FrameColumns {
  std::vector<std::uint32_t> parents;
  std::vector<format::FrameKind> kinds;
  std::vector<std::uint64_t> values;
  std::vector<std::uint32_t> auxiliaries;
};

// False when the table is damaged: its columns do not have `count` elements each, or a parent does not come before its
// frame.
[[nodiscard]] bool DecodeFrames(format::trace::FrameTable::Reader table, ColumnDecompressor& decompressor,
                                FrameColumns& columns);

struct Kind {
  std::uint32_t stack = 0;  // innermost frame, 0 = no stack
  std::uint64_t size = 0;   // 0 where the size varies
  KindAttributes attributes;
  std::uint32_t route = 0;
};

// Collects kinds until a chunk of them is written. Ids go on from chunk to chunk.
class KindEncoder {
 public:
  // Returns the kind's id. At most kMaxTableEntries between two calls of Write.
  std::uint32_t Add(const Kind& kind);

  [[nodiscard]] std::uint32_t pending() const { return next_id_ - first_id_; }
  [[nodiscard]] std::uint32_t next_id() const { return next_id_; }

  // Moves what was added since the last call into the table.
  void Write(format::trace::KindTable::Builder table, ColumnCompressor& compressor);

 private:
  std::uint32_t first_id_ = 1;
  std::uint32_t next_id_ = 1;
  ByteWriter stacks_, sizes_, attributes_, routes_;
};

struct KindColumns {
  std::vector<std::uint32_t> stacks;
  std::vector<std::uint64_t> sizes;
  std::vector<KindAttributes> attributes;
  std::vector<std::uint32_t> routes;
};

// False when the table is damaged: its columns do not have `count` elements each.
[[nodiscard]] bool DecodeKinds(format::trace::KindTable::Reader table, ColumnDecompressor& decompressor,
                               KindColumns& columns);

}  // namespace leaktrace::trace
