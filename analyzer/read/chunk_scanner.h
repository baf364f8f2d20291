// Finds the chunks of a trace, whole and damaged ones.
#pragma once

#include <capnp/common.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "format/chunk.h"

namespace leaktrace::read {

// Bytes at rest or in a file that may grow meanwhile.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // How many bytes there are; asked once.
  [[nodiscard]] virtual std::uint64_t Size() = 0;
  // Fills `out` from this position; the number of bytes that were there, fewer than asked for at the end only.
  [[nodiscard]] virtual absl::StatusOr<std::size_t> ReadAt(std::uint64_t position, absl::Span<std::uint8_t> out) = 0;
  // True while a recorder is at work on it.
  [[nodiscard]] virtual bool BeingWritten() { return false; }
};

// A file. It is read, not mapped: a mapped file that shrinks is a signal.
class FileSource : public ByteSource {
 public:
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<FileSource>> Open(const std::string& path);
  FileSource(int descriptor, std::uint64_t size, std::string path)
      : descriptor_(descriptor), size_(size), path_(std::move(path)) {}
  ~FileSource() override;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  std::uint64_t Size() override { return size_; }
  absl::StatusOr<std::size_t> ReadAt(std::uint64_t position, absl::Span<std::uint8_t> out) override;
  bool BeingWritten() override;

 private:
  int descriptor_;
  std::uint64_t size_;
  std::string path_;
};

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(absl::Span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint64_t Size() override { return bytes_.size(); }
  absl::StatusOr<std::size_t> ReadAt(std::uint64_t position, absl::Span<std::uint8_t> out) override;

 private:
  absl::Span<const std::uint8_t> bytes_;
};

struct ScannedChunk {
  std::uint64_t byte = 0;  // position of its header
  std::uint64_t sequence = 0;
  std::uint16_t version = 0;
  format::ChunkKind kind{};
  absl::Span<const capnp::word> payload;  // valid until the next call of Next; checked by its checksum
  // What is wrong with it, "" = nothing. Only `byte` and `sequence` (of the chunk that would have been there) mean
  // something otherwise.
  std::string_view damage;
};

class ChunkScanner {
 public:
  // The payloads of kinds for which `skips` is true are passed over: neither read nor checked, delivered empty.
  ChunkScanner(ByteSource& source, bool (*skips)(format::ChunkKind))
      : source_(source), size_(source.Size()), skips_(skips) {}

  // The next chunk or piece of damage; false at the end, or when the file cannot be read (status()). A chunk that the
  // recorder has not finished yet is the end.
  [[nodiscard]] bool Next(ScannedChunk& chunk);

  [[nodiscard]] const absl::Status& status() const { return status_; }
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::uint64_t file_bytes() const { return size_; }
  [[nodiscard]] bool being_written() { return source_.BeingWritten(); }

 private:
  bool ReadHeader(std::uint64_t position, format::ChunkHeader& header);
  bool ReadBytes(std::uint64_t position, absl::Span<std::uint8_t> out);
  // The first position from `from` on where a chunk's header is, or the file's end.
  std::uint64_t FindHeader(std::uint64_t from);

  ByteSource& source_;
  std::uint64_t size_;
  bool (*skips_)(format::ChunkKind);
  std::uint64_t position_ = 0;
  std::uint64_t next_sequence_ = 0;
  absl::Status status_;
  std::vector<capnp::word> payload_;
};

}  // namespace leaktrace::read
