// The ways out of the process. What happens after these (handlers, destructors) is recorded until the process really
// ends.
#include <errno.h>

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

// Nothing of this library runs between here and the process's end.
void OnLastExit(int status) {
  OnExit(status);
  if (IsRecording()) AwaitTraceIfInit();
}

}  // namespace

// For the stub below: a system call that does not return.
extern "C" __attribute__((visibility("hidden"), used)) void leaktrace_before_exit_group(int status) {
  OnLastExit(status);
}

extern "C" __attribute__((visibility("hidden"), used)) long leaktrace_set_errno(long error) {
  errno = static_cast<int>(-error);
  return -1;
}

}  // namespace leaktrace::preload

// long syscall(long number, ...): as libc's own, but for exit_group (231) and the waits for events, epoll_wait (232),
// epoll_pwait (281) and epoll_pwait2 (441), which are noted before. In assembly, so that a call that
// returns twice, or on another stack, finds the stack as its caller made it.
asm(R"(
    .text
    .globl syscall
    .type syscall, @function
syscall:
    .cfi_startproc
    cmp $231, %rdi
    je 2f
    cmp $441, %rdi
    je 4f
    cmp $281, %rdi
    je 4f
    cmp $232, %rdi
    je 4f
1:  mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    mov 8(%rsp), %r9
    syscall
    cmp $-4095, %rax
    jae 3f
    ret
2:  push %rdi
    .cfi_adjust_cfa_offset 8
    push %rsi
    .cfi_adjust_cfa_offset 8
    sub $8, %rsp
    .cfi_adjust_cfa_offset 8
    mov %esi, %edi
    call leaktrace_before_exit_group
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
    pop %rsi
    .cfi_adjust_cfa_offset -8
    pop %rdi
    .cfi_adjust_cfa_offset -8
    jmp 1b
3:  mov %rax, %rdi
    jmp leaktrace_set_errno
4:  push %rdi
    .cfi_adjust_cfa_offset 8
    push %rsi
    .cfi_adjust_cfa_offset 8
    push %rdx
    .cfi_adjust_cfa_offset 8
    push %rcx
    .cfi_adjust_cfa_offset 8
    push %r8
    .cfi_adjust_cfa_offset 8
    push %r9
    .cfi_adjust_cfa_offset 8
    sub $8, %rsp
    .cfi_adjust_cfa_offset 8
    call leaktrace_before_wait
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
    pop %r9
    .cfi_adjust_cfa_offset -8
    pop %r8
    .cfi_adjust_cfa_offset -8
    pop %rcx
    .cfi_adjust_cfa_offset -8
    pop %rdx
    .cfi_adjust_cfa_offset -8
    pop %rsi
    .cfi_adjust_cfa_offset -8
    pop %rdi
    .cfi_adjust_cfa_offset -8
    jmp 1b
    .cfi_endproc
    .size syscall, . - syscall
)");

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
