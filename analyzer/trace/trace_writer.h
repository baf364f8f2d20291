// Appends chunks to a trace file. Each chunk is handed to the kernel in one call, so that it is in the file whatever
// happens to this process afterwards, and a reader of the growing file sees whole chunks.
#pragma once

#include <capnp/message.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/chunk.h"

namespace leaktrace::trace {

// Not for use by several threads at once.
class TraceWriter {
 public:
  // Creates the file, or empties it. The error names the path and the reason; AlreadyExists: another writer is at work
  // on it.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<TraceWriter>> Create(const std::string& path);

  // Writes to a descriptor of its own from now on, at its end. `path` is for messages only.
  TraceWriter(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~TraceWriter();
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;

  // Appends one chunk. Where it does not fit (disk full, a limit on file sizes), nothing of it stays in the file, which
  // ends with a whole chunk then; and a footer fits still, where the file system can reserve room.
  [[nodiscard]] absl::Status Append(format::ChunkKind kind, capnp::MessageBuilder& message);

  [[nodiscard]] std::uint64_t chunks() const { return sequence_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  // Makes sure that the file can grow by so many bytes; an error number where it cannot.
  [[nodiscard]] int Reserve(std::uint64_t bytes) const;

  int descriptor_;
  std::string path_;
  std::uint64_t sequence_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace leaktrace::trace
