// Memory mappings that the target makes itself. What libc maps for its heap and for threads' stacks does not pass
// through here.
#include <errno.h>
#include <stdarg.h>
#include <sys/types.h>

#include <cstddef>

#include "preload/base/attributes.h"
#include "preload/base/registers.h"
#include "preload/base/syscall.h"
#include "preload/hook/original.h"
#include "preload/js/frames.h"
#include "preload/record/mapping.h"
#include "preload/thread/guard.h"

namespace leaktrace::preload {
namespace {

using Mmap = void* (*)(void*, std::size_t, int, int, int, off_t);
using Munmap = int (*)(void*, std::size_t);
using Mremap = void* (*)(void*, std::size_t, std::size_t, int, void*);
using Madvise = int (*)(void*, std::size_t, int);

void* const kMapFailed = reinterpret_cast<void*>(~std::uintptr_t{0});
constexpr int kMapAnonymous = 0x20;
constexpr int kMremapFixed = 2;

long Result(long result) {
  if (!Failed(result)) return result;
  errno = static_cast<int>(-result);
  return -1;
}
void* MmapByHand(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) {
  return reinterpret_cast<void*>(
      Result(Syscall(SYS_mmap, Argument(address), static_cast<long>(bytes), protection, flags, file, offset)));
}
int MunmapByHand(void* address, std::size_t bytes) {
  return static_cast<int>(Result(Syscall(SYS_munmap, Argument(address), static_cast<long>(bytes))));
}
void* MremapByHand(void* address, std::size_t old_bytes, std::size_t bytes, int flags, void* target) {
  return reinterpret_cast<void*>(Result(Syscall(SYS_mremap, Argument(address), static_cast<long>(old_bytes),
                                                static_cast<long>(bytes), flags, Argument(target))));
}
int MadviseByHand(void* address, std::size_t bytes, int advice) {
  return static_cast<int>(Result(Syscall(SYS_madvise, Argument(address), static_cast<long>(bytes), advice)));
}

constinit Original<Mmap> original_mmap{"mmap", MmapByHand};
constinit Original<Munmap> original_munmap{"munmap", MunmapByHand};
constinit Original<Mremap> original_mremap{"mremap", MremapByHand};
constinit Original<Madvise> original_madvise{"madvise", MadviseByHand};

LEAKTRACE_HOT void* MapMemory(const Registers& caller, void* address, std::size_t bytes, int protection, int flags,
                              int file, off_t offset) {
  const HookGuard guard(Nested::kRecorded);
  void* const result = original_mmap.Get()(address, bytes, protection, flags, file, offset);
  if (!guard.Records() || result == kMapFailed) return result;
  guard.Write();
  const bool anonymous = (flags & kMapAnonymous) != 0;
  constexpr int kWriteAndExecute = 2 | 4;
  if (anonymous && (protection & kWriteAndExecute) == kWriteAndExecute) [[unlikely]] {
    js::NoteExecutableMapping(reinterpret_cast<std::uintptr_t>(result), bytes);
  }
  RecordMap(guard.Thread(), caller,
            {.address = result,
             .bytes = bytes,
             .protection = protection,
             .flags = flags,
             .file_offset = anonymous ? format::MapWord::kAnonymous : static_cast<std::uint64_t>(offset)});
  return result;
}

// Advice that gives memory back to the kernel: MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTNEED_LOCKED.
bool GivesBack(int advice) { return advice == 4 || advice == 8 || advice == 9 || advice == 24; }

}  // namespace
}  // namespace leaktrace::preload

using namespace leaktrace::preload;  // NOLINT(google-build-using-namespace): the hooks below have C's names

LEAKTRACE_EXPORT void* mmap(void* address, std::size_t bytes, int protection, int flags, int file,
                            off_t offset) noexcept {
  return MapMemory(CallerRegisters(), address, bytes, protection, flags, file, offset);
}

LEAKTRACE_EXPORT void* mmap64(void* address, std::size_t bytes, int protection, int flags, int file,
                              off_t offset) noexcept {
  return MapMemory(CallerRegisters(), address, bytes, protection, flags, file, offset);
}

LEAKTRACE_EXPORT int munmap(void* address, std::size_t bytes) noexcept {
  const HookGuard guard(Nested::kRecorded);
  if (!guard.Records()) [[unlikely]]
    return original_munmap.Get()(address, bytes);
  guard.Write();
  const bool recorded = RecordUnmap(guard.Thread(), address, bytes);
  guard.Rest();
  const int result = original_munmap.Get()(address, bytes);
  if (result != 0 && recorded) {
    guard.Write();
    RecordUnmapCancel(guard.Thread());
  }
  return result;
}

LEAKTRACE_EXPORT void* mremap(void* address, std::size_t old_bytes, std::size_t bytes, int flags, ...) noexcept {
  void* target = nullptr;
  if ((flags & kMremapFixed) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    target = va_arg(arguments, void*);
    va_end(arguments);
  }
  const HookGuard guard(Nested::kRecorded);
  if (!guard.Records()) [[unlikely]]
    return original_mremap.Get()(address, old_bytes, bytes, flags, target);
  guard.Write();
  const bool recorded = RecordRemapBegin(guard.Thread(), address, old_bytes);
  guard.Rest();
  void* const result = original_mremap.Get()(address, old_bytes, bytes, flags, target);
  guard.Write();
  if (recorded && result == kMapFailed) RecordRemapCancel(guard.Thread());
  if (recorded && result != kMapFailed) RecordRemapEnd(guard.Thread(), CallerRegisters(), result, bytes, flags);
  return result;
}

LEAKTRACE_EXPORT int madvise(void* address, std::size_t bytes, int advice) noexcept {
  if (GivesBack(advice)) {
    const HookGuard guard(Nested::kRecorded);
    if (guard.Records()) {
      guard.Write();
      RecordAdvise(guard.Thread(), address, bytes, advice);
      guard.Rest();
      return original_madvise.Get()(address, bytes, advice);
    }
  }
  return original_madvise.Get()(address, bytes, advice);
}
