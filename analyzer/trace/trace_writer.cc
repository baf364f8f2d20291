#include "analyzer/trace/trace_writer.h"

#include <capnp/serialize.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "analyzer/trace/chunk.h"

namespace leaktrace::trace {
namespace {

// Room that is kept behind every chunk.
constexpr std::uint64_t kFooterReserve = 4096;

}  // namespace

absl::StatusOr<std::unique_ptr<TraceWriter>> TraceWriter::Create(const std::string& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot create the trace ", path));
  }
  // For as long as the lock is held the trace is being written: readers ask, and so does the next recorder. A file
  // system without locks costs them that answer only.
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(descriptor);
    return absl::AlreadyExistsError(absl::StrCat(path, " is being written by another recorder"));
  }
  if (ftruncate(descriptor, 0) != 0) {
    const absl::Status status = absl::ErrnoToStatus(errno, absl::StrCat("cannot empty ", path));
    close(descriptor);
    return status;
  }
  return std::make_unique<TraceWriter>(descriptor, path);
}

TraceWriter::~TraceWriter() {
  // What was reserved and not used goes back; where that fails it is a page too much.
  if (ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) errno = 0;
  close(descriptor_);
}

int TraceWriter::Reserve(std::uint64_t bytes) const {
  // Which a reservation beyond the file's end does not look at.
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes_ + bytes > limit.rlim_cur)
    return EFBIG;
  if (fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(bytes_), static_cast<off_t>(bytes)) == 0) return 0;
  // A file system that cannot reserve is written to all the same.
  return errno == ENOSPC || errno == EFBIG || errno == EDQUOT ? errno : 0;
}

absl::Status TraceWriter::Append(format::ChunkKind kind, capnp::MessageBuilder& message) {
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  if (bytes.size() > format::kMaxChunkBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a chunk of ", bytes.size(), " bytes is too large for a trace"));
  }
  format::ChunkHeader header = MakeChunkHeader(kind, sequence_, absl::MakeConstSpan(bytes.begin(), bytes.size()));
  iovec parts[2] = {{&header, sizeof(header)}, {const_cast<unsigned char*>(bytes.begin()), bytes.size()}};
  const std::uint64_t end = bytes_ + sizeof(header) + bytes.size();
  if (const int error = kind == format::ChunkKind::kFooter ? 0 : Reserve(end - bytes_ + kFooterReserve); error != 0) {
    return absl::ErrnoToStatus(error, absl::StrCat("cannot write ", path_));
  }
  std::uint64_t position = bytes_;
  while (position < end) {
    const ssize_t written = pwritev(descriptor_, parts, 2, static_cast<off_t>(position));
    if (written <= 0) {
      if (written < 0 && errno == EINTR) continue;
      const int error = written == 0 ? ENOSPC : errno;
      // Best effort: where even this fails, a reader reports the torn chunk.
      if (ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0)
        return absl::ErrnoToStatus(error, absl::StrCat("cannot write ", path_));
      return absl::ErrnoToStatus(error, absl::StrCat("cannot write ", path_));
    }
    position += static_cast<std::uint64_t>(written);
    auto left = static_cast<std::size_t>(written);
    for (iovec& part : parts) {
      const std::size_t done = std::min(left, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + done;
      part.iov_len -= done;
      left -= done;
    }
  }
  bytes_ = end;
  ++sequence_;
  return absl::OkStatus();
}

}  // namespace leaktrace::trace
