// A column of a chunk: bytes under zstd. Compressing and decompressing keep their contexts and buffers from one column
// to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace leaktrace::trace {

// Not for use by several threads at once.
class ColumnCompressor {
 public:
  explicit ColumnCompressor(int level);
  ~ColumnCompressor();
  ColumnCompressor(const ColumnCompressor&) = delete;
  ColumnCompressor& operator=(const ColumnCompressor&) = delete;

  // One zstd frame that states its content's size; nothing for an empty column. Valid until the next call.
  [[nodiscard]] absl::Span<const std::uint8_t> Compress(absl::Span<const std::uint8_t> column);

 private:
  ZSTD_CCtx_s* context_;
  std::vector<std::uint8_t> buffer_;
};

// Not for use by several threads at once.
class ColumnDecompressor {
 public:
  ColumnDecompressor();
  ~ColumnDecompressor();
  ColumnDecompressor(const ColumnDecompressor&) = delete;
  ColumnDecompressor& operator=(const ColumnDecompressor&) = delete;

  // Replaces `out` with the column's bytes. False when the frame is damaged, or states no size or one above `limit`:
  // nothing was allocated for it then.
  [[nodiscard]] bool Decompress(absl::Span<const std::uint8_t> frame, std::size_t limit,
                                std::vector<std::uint8_t>& out);

 private:
  ZSTD_DCtx_s* context_;
};

}  // namespace leaktrace::trace
