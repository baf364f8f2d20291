#include "analyzer/record/session.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace leaktrace::record {
namespace {

using format::SessionHeader;

std::string CopyText(const char* text, std::size_t capacity) { return {text, strnlen(text, capacity)}; }

}  // namespace

absl::StatusOr<Session> Session::Map(int descriptor) {
  struct stat facts {};
  if (fstat(descriptor, &facts) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("descriptor ", descriptor, " is no session"));
  }
  const auto bytes = static_cast<std::uint64_t>(facts.st_size);
  if (bytes < sizeof(SessionHeader)) return absl::InvalidArgumentError("the session's memory is too small");
  // A memory that shrinks under the mapping is a signal to whoever reads it; where the target allowed seals this makes
  // it impossible.
  fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, "cannot map the session's memory");
  Session session;
  session.memory_ = static_cast<std::uint8_t*>(memory);
  session.bytes_ = bytes;
  session.header_ = static_cast<SessionHeader*>(memory);
  if (absl::Status status = session.Check(); !status.ok()) return status;
  session.CopyFacts();
  return session;
}

Session::Session(Session&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      bytes_(other.bytes_),
      header_(other.header_),
      slots_(other.slots_),
      modules_(other.modules_),
      hook_map_(other.hook_map_),
      rows_(other.rows_),
      rows_offset_(other.rows_offset_),
      rings_(other.rings_),
      ring_words_(other.ring_words_),
      ring_count_(other.ring_count_),
      facts_(std::move(other.facts_)) {}

Session::~Session() {
  if (memory_ != nullptr) munmap(memory_, bytes_);
}

void* Session::At(std::uint64_t offset, std::uint64_t bytes) const {
  if (offset < sizeof(SessionHeader) || offset % 64 != 0 || offset > bytes_ || bytes > bytes_ - offset) return nullptr;
  return memory_ + offset;
}

absl::Status Session::Check() {
  if (header_->magic != format::kSessionMagic)
    return absl::InvalidArgumentError("the memory is no session of leaktrace");
  if (header_->version != format::kSessionVersion) {
    return absl::InvalidArgumentError(absl::StrCat("the library speaks version ", header_->version,
                                                   " of the session, this recorder ", format::kSessionVersion,
                                                   ": install both from one release"));
  }
  const std::uint64_t ring_bytes = header_->options.ring_bytes;
  if (!std::has_single_bit(ring_bytes) || ring_bytes < format::kMinRingBytes || ring_bytes > format::kMaxRingBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the session has rings of ", ring_bytes, " bytes"));
  }
  const std::uint64_t rings_offset = header_->rings_offset;
  rings_ = static_cast<const std::uint64_t*>(At(rings_offset, ring_bytes));
  slots_ =
      static_cast<format::ThreadSlot*>(At(header_->slots_offset, sizeof(format::ThreadSlot) * format::kMaxThreads));
  modules_ = static_cast<format::UnwindModule*>(
      At(header_->modules_offset, sizeof(format::UnwindModule) * format::kMaxUnwindModules));
  if (rings_ == nullptr || slots_ == nullptr || modules_ == nullptr) {
    return absl::InvalidArgumentError("the session's parts lie outside of its memory");
  }
  ring_words_ = ring_bytes / sizeof(std::uint64_t);
  ring_count_ =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(format::kMaxThreads, (bytes_ - rings_offset) / ring_bytes));
  hook_map_ = static_cast<format::HookMapTable*>(At(header_->hook_map_offset, sizeof(format::HookMapTable)));
  rows_offset_ = header_->rows_offset;
  const std::uint64_t rows_bytes = header_->rows_bytes;
  if (void* rows = At(rows_offset_, rows_bytes); rows != nullptr) {
    rows_ = {static_cast<format::UnwindRow*>(rows), rows_bytes / sizeof(format::UnwindRow)};
  }
  return absl::OkStatus();
}

void Session::CopyFacts() {
  facts_.pid = header_->pid;
  facts_.parent_pid = header_->parent_pid;
  facts_.forked = header_->forked != 0;
  facts_.clock = header_->clock;
  facts_.start_ticks = header_->start_ticks;
  facts_.start_monotonic_ns = header_->start_monotonic_ns;
  facts_.start_realtime_ns = header_->start_realtime_ns;
  facts_.options = header_->options;
  facts_.output_path = CopyText(header_->output_path, format::kMaxPath);
  facts_.executable = CopyText(header_->executable, format::kMaxPath);
  const std::string arguments(header_->arguments, std::min(header_->argument_bytes, format::kMaxArguments));
  for (std::size_t at = 0; at < arguments.size();) {
    const std::size_t end = std::min(arguments.find('\0', at), arguments.size());
    facts_.arguments.push_back(arguments.substr(at, end - at));
    at = end + 1;
  }
}

void Session::Wake(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void Session::SetRecorderState(format::RecorderState state) const {
  // Matched by the acquire load of the library's wait.
  header_->recorder_state.store(state, std::memory_order_release);
  syscall(SYS_futex, &header_->recorder_state, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace leaktrace::record
