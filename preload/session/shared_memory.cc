#include "preload/session/shared_memory.h"

#include "format/hook_map.h"
#include "format/jsc_layout.h"
#include "preload/base/message.h"
#include "preload/base/syscall.h"

namespace leaktrace::preload {
namespace {

using format::AlignUp;
using format::SessionHeader;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kRowsBytes = 64 << 20;  // 8 million rows; Node has under one million

constexpr long kReadWrite = 3, kSharedNoReserve = 0x4001;
constexpr long kAdviceDontDump = 16;
constexpr long kCloseOnExec = 1;

void FillLayout(const format::SessionOptions& options, SessionHeader& header) {
  header.magic = format::kSessionMagic;
  header.version = format::kSessionVersion;
  header.header_bytes = sizeof(SessionHeader);
  header.options = options;
  std::uint64_t offset = AlignUp(sizeof(SessionHeader), kPage);
  const auto place = [&offset](std::uint64_t bytes) {
    const std::uint64_t at = offset;
    offset = AlignUp(offset + bytes, kPage);
    return at;
  };
  header.slots_offset = place(sizeof(format::ThreadSlot) * format::kMaxThreads);
  header.modules_offset = place(sizeof(format::UnwindModule) * format::kMaxUnwindModules);
  header.hook_map_offset = place(sizeof(format::HookMapTable));
  header.jsc_layout_offset = place(sizeof(format::JscLayout));
  header.rows_bytes = kRowsBytes;
  header.rows_offset = place(kRowsBytes);
  header.rings_offset = place(std::uint64_t{options.ring_bytes} * format::kMaxThreads);
  header.total_bytes = offset;
}

// The limit on file sizes holds for a memfd too, and exceeding it is a signal that ends the target.
bool FileSizeAllowed(std::uint64_t bytes) {
  struct {
    std::uint64_t soft, hard;
  } limit{};
  constexpr long kFileSize = 1;
  if (Failed(Syscall(SYS_prlimit64, 0, kFileSize, 0, Argument(&limit)))) return true;
  return limit.soft >= bytes;
}

}  // namespace

bool CreateSharedMemory(const format::SessionOptions& options, SharedMemory& memory) {
  constexpr const char* kConsequence = "not traced";
  // The layout is worked out in private pages first: nothing is created before it is known to fit.
  auto* const layout = static_cast<SessionHeader*>(MapPages(sizeof(SessionHeader)));
  if (layout == nullptr) {
    Say("no memory for the session; not traced");
    return false;
  }
  FillLayout(options, *layout);
  const std::uint64_t total = layout->total_bytes, rings = layout->rings_offset;
  UnmapPages(layout, sizeof(SessionHeader));
  if (!FileSizeAllowed(total)) {
    Say("the limit on file sizes (ulimit -f) is too small for the session; not traced");
    return false;
  }

  const long descriptor = Syscall(SYS_memfd_create, Argument("leaktrace"), kCloseOnExec);
  if (Failed(descriptor)) {
    SayError("memfd_create", descriptor, kConsequence);
    return false;
  }
  long result = Syscall(SYS_ftruncate, descriptor, static_cast<long>(total));
  if (Failed(result)) {
    SayError("ftruncate of the session", result, kConsequence);
    Syscall(SYS_close, descriptor);
    return false;
  }
  // With little address space (ulimit -v) fewer rings do.
  constexpr std::uint32_t kFewestRings = 16;
  std::uint32_t ring_count = format::kMaxThreads;
  std::uint64_t bytes = total;
  for (;;) {
    result = Syscall(SYS_mmap, 0, static_cast<long>(bytes), kReadWrite, kSharedNoReserve, descriptor, 0);
    if (!Failed(result) || ring_count == kFewestRings) break;
    ring_count /= 2;
    bytes = rings + std::uint64_t{ring_count} * options.ring_bytes;
  }
  if (Failed(result)) {
    SayError("mmap of the session", result, kConsequence);
    Syscall(SYS_close, descriptor);
    return false;
  }
  Syscall(SYS_madvise, result, static_cast<long>(bytes), kAdviceDontDump);
  memory.header = reinterpret_cast<SessionHeader*>(result);
  memory.mapped_bytes = bytes;
  memory.ring_count = ring_count;
  memory.descriptor = static_cast<int>(descriptor);
  FillLayout(options, *memory.header);
  return true;
}

void CloseDescriptor(SharedMemory& memory) {
  Syscall(SYS_close, memory.descriptor);
  memory.descriptor = -1;
}

void Unmap(SharedMemory& memory) {
  UnmapPages(memory.header, memory.mapped_bytes);
  memory = SharedMemory{};
}

}  // namespace leaktrace::preload
