#include "analyzer/read/chunk_scanner.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "analyzer/trace/chunk.h"
#include "analyzer/trace/crc32c.h"

namespace leaktrace::read {

using format::ChunkHeader;

absl::StatusOr<std::unique_ptr<FileSource>> FileSource::Open(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  struct stat facts {};
  if (fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    close(descriptor);
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a file: name the .ltrace file that was recorded"));
  }
  return std::make_unique<FileSource>(descriptor, static_cast<std::uint64_t>(facts.st_size), path);
}

FileSource::~FileSource() { close(descriptor_); }

absl::StatusOr<std::size_t> FileSource::ReadAt(std::uint64_t position, absl::Span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(position + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

// The recorder keeps the file locked for as long as it writes.
bool FileSource::BeingWritten() {
  if (flock(descriptor_, LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
  flock(descriptor_, LOCK_UN);
  return false;
}

absl::StatusOr<std::size_t> MemorySource::ReadAt(std::uint64_t position, absl::Span<std::uint8_t> out) {
  if (position >= bytes_.size()) return 0;
  const std::size_t count = std::min<std::size_t>(out.size(), bytes_.size() - position);
  std::memcpy(out.data(), bytes_.data() + position, count);
  return count;
}

bool ChunkScanner::ReadBytes(std::uint64_t position, absl::Span<std::uint8_t> out) {
  const absl::StatusOr<std::size_t> count = source_.ReadAt(position, out);
  if (!count.ok()) {
    status_ = count.status();
    return false;
  }
  return *count == out.size();
}

bool ChunkScanner::ReadHeader(std::uint64_t position, ChunkHeader& header) {
  if (size_ < sizeof(header) || position > size_ - sizeof(header)) return false;
  std::uint8_t bytes[sizeof(header)];
  if (!ReadBytes(position, absl::MakeSpan(bytes)) || !trace::IsChunkHeader(bytes)) return false;
  std::memcpy(&header, bytes, sizeof(header));
  return true;
}

std::uint64_t ChunkScanner::FindHeader(std::uint64_t from) {
  constexpr std::size_t kWindow = 1 << 20;
  std::vector<std::uint8_t> window(kWindow);
  while (from < size_ && status_.ok()) {
    const std::size_t count = std::min<std::uint64_t>(kWindow, size_ - from);
    if (!ReadBytes(from, absl::MakeSpan(window).first(count))) break;
    if (count < sizeof(ChunkHeader)) break;
    const std::size_t last = count - sizeof(ChunkHeader);
    for (std::size_t i = 0; i <= last; ++i) {
      std::uint32_t magic;
      std::memcpy(&magic, window.data() + i, sizeof(magic));
      if (magic == format::kChunkMagic && trace::IsChunkHeader(window.data() + i)) return from + i;
    }
    from += last + 1;
  }
  return size_;
}

bool ChunkScanner::Next(ScannedChunk& chunk) {
  if (position_ >= size_ || !status_.ok()) return false;
  chunk = {};
  chunk.byte = position_;
  chunk.sequence = next_sequence_;
  ChunkHeader header;
  if (!ReadHeader(position_, header)) {
    if (!status_.ok()) return false;
    const bool torn = size_ - position_ < sizeof(header);
    if (torn && source_.BeingWritten()) {
      position_ = size_;
      return false;
    }
    chunk.damage = torn ? "the file ends inside it" : "no chunk begins here";
    position_ = FindHeader(position_ + 1);
    ++next_sequence_;
    return status_.ok();
  }
  const std::uint64_t body = position_ + sizeof(header);
  const std::uint64_t end = body + header.payload_bytes;
  chunk.sequence = header.sequence;
  next_sequence_ = header.sequence + 1;
  if (end > size_) {
    // Another chunk may follow all the same, where the middle of a file is gone.
    const std::uint64_t next = FindHeader(body);
    if (next == size_ && source_.BeingWritten()) {
      position_ = size_;
      return false;
    }
    chunk.damage = "the file ends inside it";
    position_ = next;
    return status_.ok();
  }
  chunk.version = header.version;
  chunk.kind = static_cast<format::ChunkKind>(header.kind);
  if (skips_(chunk.kind)) {
    position_ = end;
    return true;
  }
  payload_.resize(header.payload_bytes / sizeof(capnp::word));
  const absl::Span<std::uint8_t> bytes(reinterpret_cast<std::uint8_t*>(payload_.data()), header.payload_bytes);
  if (!ReadBytes(body, bytes)) return false;
  ChunkHeader following;
  if (trace::Crc32c(bytes) != header.payload_crc) {
    chunk.damage = "checksum differs";
    position_ = end == size_ || ReadHeader(end, following) ? end : FindHeader(body);
    return status_.ok();
  }
  chunk.payload = payload_;
  position_ = end;
  return true;
}

}  // namespace leaktrace::read
