// syscall(2), through which libuv and Bun make some of the calls that are noted elsewhere.
#include <errno.h>
#include <sys/syscall.h>

#include "preload/hook/exit.h"
#include "preload/hook/socket.h"

namespace leaktrace::preload {

// For the stub below: before a call whose number it singles out.
extern "C" __attribute__((visibility("hidden"), used)) void leaktrace_before_syscall(long number, long argument) {
  switch (number) {
    case SYS_close:
      OnClosing(static_cast<int>(argument));
      break;
    case SYS_exit_group:
      OnLastExit(static_cast<int>(argument));
      break;
    default:
      OnWaiting();
  }
}

extern "C" __attribute__((visibility("hidden"), used)) long leaktrace_set_errno(long error) {
  errno = static_cast<int>(-error);
  return -1;
}

}  // namespace leaktrace::preload

// long syscall(long number, ...): as libc's own, but for close (3), exit_group (231) and the waits for events,
// epoll_wait (232), epoll_pwait (281) and epoll_pwait2 (441), which are noted before: libuv and Bun make these calls in
// this way. In assembly, so that a call that returns twice, or on another stack, finds the stack as its caller made it.
asm(R"(
    .text
    .globl syscall
    .type syscall, @function
syscall:
    .cfi_startproc
    cmp $3, %rdi
    je 2f
    cmp $231, %rdi
    je 2f
    cmp $232, %rdi
    je 2f
    cmp $281, %rdi
    je 2f
    cmp $441, %rdi
    je 2f
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
    call leaktrace_before_syscall
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
3:  mov %rax, %rdi
    jmp leaktrace_set_errno
    .cfi_endproc
    .size syscall, . - syscall
)");
