// The ways out of the process. What happens after these (handlers, destructors) is recorded until the process really
// ends.
#include "preload/hook/exit.h"

#include "preload/base/attributes.h"
#include "preload/base/syscall.h"
#include "preload/hook/original.h"
#include "preload/record/lifecycle.h"
#include "preload/session/session.h"

namespace leaktrace::preload {
namespace {

using Exit = void (*)(int);

[[noreturn]] void ExitByHand(int status) {
  for (;;) Syscall(SYS_exit_group, status);
}

constinit Original<Exit> original_exit{"exit", ExitByHand};
constinit Original<Exit> original_exit_now{"_exit", ExitByHand};
constinit Original<Exit> original_exit_c99{"_Exit", ExitByHand};
constinit Original<Exit> original_quick_exit{"quick_exit", ExitByHand};

}  // namespace

void OnLastExit(int status) {
  OnExit(status);
  if (IsRecording()) AwaitTraceIfInit();
}

}  // namespace leaktrace::preload

using namespace leaktrace::preload;  // NOLINT(google-build-using-namespace): the hooks below have C's names

LEAKTRACE_EXPORT [[noreturn]] void exit(int status) {
  OnExit(status);
  original_exit.Get()(status);
  ExitByHand(status);
}

LEAKTRACE_EXPORT [[noreturn]] void _exit(int status) {
  OnLastExit(status);
  original_exit_now.Get()(status);
  ExitByHand(status);
}

LEAKTRACE_EXPORT [[noreturn]] void _Exit(int status) {
  OnLastExit(status);
  original_exit_c99.Get()(status);
  ExitByHand(status);
}

// libc ends it by an _exit of its own, which does not pass through here.
LEAKTRACE_EXPORT [[noreturn]] void quick_exit(int status) {
  OnLastExit(status);
  original_quick_exit.Get()(status);
  ExitByHand(status);
}
