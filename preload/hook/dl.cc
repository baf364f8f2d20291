// Modules that come and go.
#include "preload/base/attributes.h"
#include "preload/hook/original.h"
#include "preload/record/lifecycle.h"
#include "preload/record/modules.h"
#include "preload/thread/guard.h"

namespace leaktrace::preload {
namespace {

using Dlopen = void* (*)(const char*, int);
using Dlclose = int (*)(void*);

constinit Original<Dlopen> original_dlopen{"dlopen", nullptr};
constinit Original<Dlclose> original_dlclose{"dlclose", nullptr};

}  // namespace

// Called by the stub below with the caller's stack pointer; returns where to go on.
extern "C" __attribute__((visibility("hidden"), used)) Dlopen leaktrace_before_dlopen(std::uintptr_t sp) {
  OnLoading(sp);
  return original_dlopen.Get();
}

}  // namespace leaktrace::preload

// void* dlopen(const char*, int): tail-jumps, since the original takes its return address for its caller's.
asm(R"(
    .text
    .globl dlopen
    .type dlopen, @function
dlopen:
    .cfi_startproc
    push %rdi
    .cfi_adjust_cfa_offset 8
    push %rsi
    .cfi_adjust_cfa_offset 8
    lea 16(%rsp), %rdi
    sub $8, %rsp
    .cfi_adjust_cfa_offset 8
    call leaktrace_before_dlopen
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
    pop %rsi
    .cfi_adjust_cfa_offset -8
    pop %rdi
    .cfi_adjust_cfa_offset -8
    jmp *%rax
    .cfi_endproc
    .size dlopen, . - dlopen
)");

using namespace leaktrace::preload;  // NOLINT(google-build-using-namespace): the hooks below have C's names

LEAKTRACE_EXPORT int dlclose(void* handle) {
  const int result = original_dlclose.Get()(handle);
  if (!IsRecording()) return result;
  const HookGuard guard;
  if (guard.Records()) FollowLoader(guard.Thread());
  return result;
}
