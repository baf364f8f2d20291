#include "preload/thread/stack_bounds.h"

#include <pthread.h>
#include <sys/auxv.h>

#include "preload/base/syscall.h"

extern "C" int pthread_getattr_np(pthread_t, pthread_attr_t*) noexcept __attribute__((weak));

namespace leaktrace::preload {
namespace {

constexpr std::uintptr_t kPage = 4096;

bool Contains(const ThreadState& thread, std::uintptr_t address) {
  return thread.stack_low <= address && address < thread.stack_high;
}

// The file name that the kernel executed is the last text above the main thread's stack. The stack may grow down to its
// limit.
void AssumeMainStack(ThreadState& thread) {
  struct {
    std::uint64_t soft, hard;
  } limit{};
  constexpr long kStackLimit = 3;
  constexpr std::uint64_t kMost = 1 << 30;
  const auto top = static_cast<std::uintptr_t>(getauxval(AT_EXECFN));
  if (top == 0 || Failed(Syscall(SYS_prlimit64, 0, kStackLimit, 0, Argument(&limit)))) return;
  const std::uintptr_t high = (top + kPage) & ~(kPage - 1);
  const std::uint64_t bytes = limit.soft < kMost ? limit.soft : kMost;
  thread.stack_low = high > bytes ? high - bytes : 0;
  thread.stack_high = high;
}

void AskLibc(ThreadState& thread) {
  if (pthread_getattr_np == nullptr) return;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* low = nullptr;
  std::size_t bytes = 0;
  if (pthread_attr_getstack(&attributes, &low, &bytes) == 0) {
    thread.stack_low = reinterpret_cast<std::uintptr_t>(low);
    thread.stack_high = thread.stack_low + bytes;
  }
  pthread_attr_destroy(&attributes);
}

}  // namespace

void FindStackBounds(ThreadState& thread) {
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  thread.stack_low = thread.stack_high = 0;
  // A forked child's only thread has the process's id too, but may run on the stack of the thread that forked.
  if (ThreadId() == ProcessId()) {
    AssumeMainStack(thread);
    if (Contains(thread, here)) return;
  }
  AskLibc(thread);
  // On another stack than the thread's (a coroutine, a signal stack) the bounds still say where its frames end.
}

}  // namespace leaktrace::preload
