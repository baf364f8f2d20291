#include "analyzer/trace/column.h"

#include <zstd.h>

#include <new>

namespace leaktrace::trace {

ColumnCompressor::ColumnCompressor(int level) : context_(ZSTD_createCCtx()) {
  if (context_ == nullptr) throw std::bad_alloc();
  ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context_, ZSTD_c_contentSizeFlag, 1);
  // The chunk has a checksum of its own.
  ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 0);
}

ColumnCompressor::~ColumnCompressor() { ZSTD_freeCCtx(context_); }

absl::Span<const std::uint8_t> ColumnCompressor::Compress(absl::Span<const std::uint8_t> column) {
  if (column.empty()) return {};
  const std::size_t bound = ZSTD_compressBound(column.size());
  if (buffer_.size() < bound) buffer_.resize(bound);
  const std::size_t written = ZSTD_compress2(context_, buffer_.data(), buffer_.size(), column.data(), column.size());
  // The buffer is large enough by zstd's own bound: what is left is that it could not get its tables.
  if (ZSTD_isError(written) != 0) throw std::bad_alloc();
  return {buffer_.data(), written};
}

ColumnDecompressor::ColumnDecompressor() : context_(ZSTD_createDCtx()) {
  if (context_ == nullptr) throw std::bad_alloc();
}

ColumnDecompressor::~ColumnDecompressor() { ZSTD_freeDCtx(context_); }

bool ColumnDecompressor::Decompress(absl::Span<const std::uint8_t> frame, std::size_t limit,
                                    std::vector<std::uint8_t>& out) {
  out.clear();
  if (frame.empty()) return true;
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > limit) return false;
  out.resize(size);
  return ZSTD_decompressDCtx(context_, out.data(), out.size(), frame.data(), frame.size()) == size;
}

}  // namespace leaktrace::trace
