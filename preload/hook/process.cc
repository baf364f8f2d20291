// fork, vfork, exec and spawn.
//
// fork: a child that goes on starts a session of its own at its first event (session/process.h, record/lifecycle.h);
// here the parent notes it. vfork: the child runs on the parent's thread, in its memory and with its thread-locals,
// while that thread is suspended. What it allocates or
//   frees is the parent's memory, and is recorded as the parent's; what it does as a process (exec, exit) is not.
// exec: noted before; the image's end is the recorder's to see, since exec may fail.
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>

#include "preload/base/attributes.h"
#include "preload/hook/original.h"
#include "preload/record/lifecycle.h"
#include "preload/record/process_event.h"
#include "preload/thread/guard.h"

namespace leaktrace::preload {
namespace {

using format::ProcessEvent;

using Fork = pid_t (*)();
using Exec = int (*)(const char*, char* const[]);
using ExecWithEnvironment = int (*)(const char*, char* const[], char* const[]);
using ExecDescriptor = int (*)(int, char* const[], char* const[]);
using Spawn = int (*)(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const[],
                      char* const[]);

constinit Original<Fork> original_fork{"fork", nullptr};
constinit Original<Fork> original_vfork{"vfork", nullptr};
constinit Original<Exec> original_execv{"execv", nullptr};
constinit Original<Exec> original_execvp{"execvp", nullptr};
constinit Original<ExecWithEnvironment> original_execve{"execve", nullptr};
constinit Original<ExecWithEnvironment> original_execvpe{"execvpe", nullptr};
constinit Original<ExecDescriptor> original_fexecve{"fexecve", nullptr};
constinit Original<Spawn> original_posix_spawn{"posix_spawn", nullptr};
constinit Original<Spawn> original_posix_spawnp{"posix_spawnp", nullptr};

// Starts no session: a forked child that executes something is left alone.
LEAKTRACE_COLD void Note(ProcessEvent event, std::int32_t status, const char* text) {
  if (!IsRecording()) return;
  const HookGuard guard;
  if (!guard.Records()) return;
  guard.Write();
  RecordProcessEvent(guard.Thread(), event, status, text);
}

int SpawnProcess(Spawn original, pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]) {
  pid_t child = 0;
  const int result = original(&child, path, actions, attributes, arguments, environment);
  if (result != 0) return result;
  if (pid != nullptr) *pid = child;
  const int saved = errno;
  Note(ProcessEvent::kSpawn, child, path);
  errno = saved;
  return result;
}

}  // namespace

extern "C" __attribute__((visibility("hidden"), used)) Fork leaktrace_before_vfork() {
  Note(ProcessEvent::kFork, 0, nullptr);
  return original_vfork.Get();
}

}  // namespace leaktrace::preload

// pid_t vfork(): returns twice, the first time on a stack that the second time still needs; so nothing of the hook may
// be on it by then.
asm(R"(
    .text
    .globl vfork
    .type vfork, @function
vfork:
    .cfi_startproc
    sub $8, %rsp
    .cfi_adjust_cfa_offset 8
    call leaktrace_before_vfork
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
    jmp *%rax
    .cfi_endproc
    .size vfork, . - vfork
)");

using namespace leaktrace::preload;  // NOLINT(google-build-using-namespace): the hooks below have C's names

LEAKTRACE_EXPORT pid_t fork() noexcept {
  const pid_t child = original_fork.Get()();
  if (child > 0) {
    const int saved = errno;
    Note(ProcessEvent::kFork, child, nullptr);
    errno = saved;
  }
  return child;
}

LEAKTRACE_EXPORT int execve(const char* path, char* const arguments[], char* const environment[]) noexcept {
  Note(ProcessEvent::kExec, 0, path);
  return original_execve.Get()(path, arguments, environment);
}

LEAKTRACE_EXPORT int execv(const char* path, char* const arguments[]) noexcept {
  Note(ProcessEvent::kExec, 0, path);
  return original_execv.Get()(path, arguments);
}

LEAKTRACE_EXPORT int execvp(const char* file, char* const arguments[]) noexcept {
  Note(ProcessEvent::kExec, 0, file);
  return original_execvp.Get()(file, arguments);
}

LEAKTRACE_EXPORT int execvpe(const char* file, char* const arguments[], char* const environment[]) noexcept {
  Note(ProcessEvent::kExec, 0, file);
  return original_execvpe.Get()(file, arguments, environment);
}

LEAKTRACE_EXPORT int fexecve(int file, char* const arguments[], char* const environment[]) noexcept {
  Note(ProcessEvent::kExec, 0, nullptr);
  return original_fexecve.Get()(file, arguments, environment);
}

// The variadic ones, whose originals cannot be handed a va_list: the arguments are gathered on the stack, as libc does
// it.
#define LEAKTRACE_GATHER(first, list)                                                          \
  std::size_t count = 1;                                                                       \
  va_list list;                                                                                \
  va_start(list, first);                                                                       \
  while (va_arg(list, char*) != nullptr) ++count;                                              \
  va_end(list);                                                                                \
  auto** const arguments = static_cast<char**>(__builtin_alloca((count + 1) * sizeof(char*))); \
  va_start(list, first);                                                                       \
  arguments[0] = const_cast<char*>(first);                                                     \
  for (std::size_t i = 1; i <= count; ++i) arguments[i] = va_arg(list, char*)

LEAKTRACE_EXPORT int execl(const char* path, const char* first, ...) noexcept {
  LEAKTRACE_GATHER(first, list);
  va_end(list);
  return execv(path, arguments);
}

LEAKTRACE_EXPORT int execlp(const char* file, const char* first, ...) noexcept {
  LEAKTRACE_GATHER(first, list);
  va_end(list);
  return execvp(file, arguments);
}

LEAKTRACE_EXPORT int execle(const char* path, const char* first, ...) noexcept {
  LEAKTRACE_GATHER(first, list);
  char* const* const environment = va_arg(list, char* const*);
  va_end(list);
  return execve(path, arguments, environment);
}

LEAKTRACE_EXPORT int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                                 const posix_spawnattr_t* attributes, char* const arguments[],
                                 char* const environment[]) noexcept {
  return SpawnProcess(original_posix_spawn.Get(), pid, path, actions, attributes, arguments, environment);
}

LEAKTRACE_EXPORT int posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                                  const posix_spawnattr_t* attributes, char* const arguments[],
                                  char* const environment[]) noexcept {
  return SpawnProcess(original_posix_spawnp.Get(), pid, file, actions, attributes, arguments, environment);
}
