#include "preload/session/launch.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>

#include "preload/base/memory.h"
#include "preload/base/syscall.h"

namespace leaktrace::preload {
namespace {

constexpr std::size_t kStackBytes = 32 << 10;
constexpr int kSessionDescriptor = 3;
constexpr std::uint64_t kAllSignals = ~0ull;
constexpr long kSignalCount = 64;
constexpr long kSetMask = 2;

// What both processes work on: they share memory with the target, which is suspended until they exec or exit.
struct Work {
  const Launch* launch;
  char* const* arguments;
  const char** environment;
  char* recorder_stack;
  long recorder;  // process id
  long error;     // negated error number of what failed in the recorder's process
};

// Runs `entry(work)` in a new process that shares this one's memory, on a stack of its own; returns its id once it has
// exec'd or exited. No exit signal: its end is invisible but to a wait for exactly it.
long RunInChild(long (*entry)(Work*), Work* work, char* stack) {
  constexpr long kFlags = CLONE_VM | CLONE_VFORK;
  long result;
  register void (*r8)() asm("r8") = reinterpret_cast<void (*)()>(entry);
  register Work* r9 asm("r9") = work;
  register long r10 asm("r10") = 0;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r9, %%rdi\n\t"
      "call *%%r8\n\t"
      "mov %%rax, %%rdi\n\t"
      "mov %[exit], %%eax\n\t"
      "syscall\n\t"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone), "D"(kFlags), "S"(stack), "d"(0), "r"(r10), "r"(r8), "r"(r9), [exit] "i"(SYS_exit_group)
      : "rcx", "r11", "memory");
  return result;
}

// Every handler of the target would run in shared memory, and what the target ignores, the recorder must not.
void ResetSignals() {
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    std::uint64_t mask;
  } const standard{};
  for (long signal = 1; signal <= kSignalCount; ++signal) {
    Syscall(SYS_rt_sigaction, signal, Argument(&standard), 0, sizeof(standard.mask));
  }
  const std::uint64_t none = 0;
  Syscall(SYS_rt_sigprocmask, kSetMask, Argument(&none), 0, sizeof(none));
}

void CloseFrom(int first) {
  if (!Failed(Syscall(SYS_close_range, first, ~0u, 0))) return;
  // Before Linux 5.9, or forbidden.
  struct {
    std::uint64_t soft, hard;
  } limit{};
  constexpr long kDescriptors = 7;
  constexpr std::uint64_t kMost = 1 << 16;
  std::uint64_t count = kMost;
  if (!Failed(Syscall(SYS_prlimit64, 0, kDescriptors, 0, Argument(&limit))) && limit.soft < kMost) count = limit.soft;
  for (std::uint64_t i = static_cast<std::uint64_t>(first); i < count; ++i) Syscall(SYS_close, static_cast<long>(i));
}

long BecomeRecorder(Work* work) {
  const Launch& launch = *work->launch;
  Syscall(SYS_setsid);
  // The descriptor may be one of those that are about to be replaced.
  const long session = Syscall(SYS_fcntl, launch.descriptor, F_DUPFD, kSessionDescriptor + 1);
  if (Failed(session)) return work->error = session;
  const long null = Syscall(SYS_openat, AT_FDCWD, Argument("/dev/null"), O_RDWR);
  for (long i = 0; i < kSessionDescriptor; ++i) {
    if (i == 2 && launch.keep_standard_error) continue;
    if (Failed(null)) {
      Syscall(SYS_close, i);
    } else if (null != i) {
      Syscall(SYS_dup2, null, i);
    }
  }
  const long moved = Syscall(SYS_dup2, session, kSessionDescriptor);
  if (Failed(moved)) return work->error = moved;
  CloseFrom(kSessionDescriptor + 1);
  ResetSignals();
  return work->error =
             Syscall(SYS_execve, Argument(launch.executable), Argument(work->arguments), Argument(work->environment));
}

long BecomeParent(Work* work) {
  work->recorder = RunInChild(BecomeRecorder, work, work->recorder_stack);
  return 0;
}

bool IsForTarget(const char* variable) {
  if (After(variable, "LEAKTRACE_VERBOSE=") != nullptr) return false;
  return After(variable, "LD_PRELOAD=") != nullptr || After(variable, "LD_AUDIT=") != nullptr ||
         After(variable, "LEAKTRACE") != nullptr;
}

}  // namespace

long LaunchRecorder(const Launch& launch) {
  std::size_t variables = 0;
  while (launch.environment[variables] != nullptr) ++variables;
  const std::size_t bytes = 2 * kStackBytes + (variables + 1) * sizeof(char*);
  auto* const memory = static_cast<char*>(MapPages(bytes));
  constexpr long kNoMemory = -12;
  if (memory == nullptr) return kNoMemory;

  auto** const environment = reinterpret_cast<const char**>(memory + 2 * kStackBytes);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < variables; ++i) {
    if (!IsForTarget(launch.environment[i])) environment[kept++] = launch.environment[i];
  }
  char name[] = "leaktrace", command[] = "record", option[] = "--session-fd", number[] = "3";
  char* const arguments[] = {name, command, option, number, nullptr};
  Work work{&launch, arguments, environment, memory + 2 * kStackBytes, 0, 0};

  std::uint64_t mask = 0;
  Syscall(SYS_rt_sigprocmask, kSetMask, Argument(&kAllSignals), Argument(&mask), sizeof(mask));
  const long parent = RunInChild(BecomeParent, &work, memory + kStackBytes);
  if (!Failed(parent)) {
    constexpr long kInterrupted = -4, kAnyKind = 0x40000000;  // __WALL
    while (Syscall(SYS_wait4, parent, 0, kAnyKind, 0) == kInterrupted) {
    }
  }
  Syscall(SYS_rt_sigprocmask, kSetMask, Argument(&mask), 0, sizeof(mask));
  UnmapPages(memory, bytes);
  if (Failed(parent)) return parent;
  return work.error != 0 ? work.error : work.recorder;
}

}  // namespace leaktrace::preload
