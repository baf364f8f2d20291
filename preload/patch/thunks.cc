// The way from a patched function to its hook's body and back.
//
// The jump that replaces a function's first instructions leads to a stub, which pushes the hook's index and jumps here.
// A thunk saves what the function was called with where the body can read it, calls the body, and returns to the
// function's caller. It gives back every general register as it was but rax: compilers that know a callee rely on more
// than the ABI promises (gcc's -fipa-ra). A site's stub calls its thunk in the middle of a function: flags and all
// registers, vector registers included, are kept.
#include "preload/patch/bodies.h"
#include "preload/patch/hook_table.h"

// Entry: [rsp] = index, [rsp+8] = return address of the hooked function, whose alignment is that of any function's
// entry. The pushes are CallFrame, from its end. The body gets the frame's address.
#define LEAKTRACE_THUNK(thunk, body)                                                                     \
  asm(".text\n.p2align 4\n.hidden " #thunk "\n.globl " #thunk "\n.type " #thunk ",@function\n" #thunk    \
      ":\n"                                                                                              \
      "push %rbp\n mov %rsp, %rbp\n"                                                                     \
      "push %r11\n push %r10\n push %r9\n push %r8\n push %rcx\n push %rdx\n push %rsi\n push %rdi\n"    \
      "mov %rsp, %rdi\n sub $8, %rsp\n"                                                                  \
      "call " #body                                                                                      \
      "\n"                                                                                               \
      "add $8, %rsp\n"                                                                                   \
      "pop %rdi\n pop %rsi\n pop %rdx\n pop %rcx\n pop %r8\n pop %r9\n pop %r10\n pop %r11\n pop %rbp\n" \
      "lea 8(%rsp), %rsp\n ret\n"                                                                        \
      ".size " #thunk ", . - " #thunk "\n");                                                             \
  extern "C" void thunk();

// Entry: [rsp] = return address into the stub, [rsp+8] = index; the stub has stepped over the red zone. The pushes are
// SiteFrame.
#define LEAKTRACE_SITE_THUNK(thunk, body)                                                                \
  asm(".text\n.p2align 4\n.hidden " #thunk "\n.globl " #thunk "\n.type " #thunk ",@function\n" #thunk    \
      ":\n"                                                                                              \
      "pushfq\n"                                                                                         \
      "push %r15\n push %r14\n push %r13\n push %r12\n push %r11\n push %r10\n push %r9\n push %r8\n"    \
      "push %rdi\n push %rsi\n push %rbp\n push %rsp\n push %rbx\n push %rdx\n push %rcx\n push %rax\n"  \
      "mov %rsp, %rbx\n mov %rsp, %rdi\n cld\n"                                                          \
      "sub $512, %rsp\n and $-64, %rsp\n fxsave64 (%rsp)\n"                                              \
      "call " #body                                                                                      \
      "\n"                                                                                               \
      "fxrstor64 (%rsp)\n mov %rbx, %rsp\n"                                                              \
      "pop %rax\n pop %rcx\n pop %rdx\n pop %rbx\n lea 8(%rsp), %rsp\n pop %rbp\n pop %rsi\n pop %rdi\n" \
      "pop %r8\n pop %r9\n pop %r10\n pop %r11\n pop %r12\n pop %r13\n pop %r14\n pop %r15\n"            \
      "popfq\n ret\n"                                                                                    \
      ".size " #thunk ", . - " #thunk "\n");                                                             \
  extern "C" void thunk();

LEAKTRACE_THUNK(leaktrace_thunk_allocate, leaktrace_on_allocate)
LEAKTRACE_THUNK(leaktrace_thunk_reallocate, leaktrace_on_reallocate)
LEAKTRACE_THUNK(leaktrace_thunk_posix_memalign, leaktrace_on_posix_memalign)
LEAKTRACE_THUNK(leaktrace_thunk_free, leaktrace_on_free)
LEAKTRACE_THUNK(leaktrace_thunk_heap_destroy, leaktrace_on_heap_destroy)
LEAKTRACE_THUNK(leaktrace_thunk_heap_delete, leaktrace_on_heap_delete)
LEAKTRACE_SITE_THUNK(leaktrace_thunk_allocate_site, leaktrace_on_allocate_site)
LEAKTRACE_SITE_THUNK(leaktrace_thunk_free_site, leaktrace_on_free_site)

namespace leaktrace::preload {

void* ThunkOf(format::HookRole role) {
  const auto address = [](void (*thunk)()) { return reinterpret_cast<void*>(thunk); };
  switch (role) {
    case format::HookRole::kAllocate:
      return address(leaktrace_thunk_allocate);
    case format::HookRole::kReallocate:
      return address(leaktrace_thunk_reallocate);
    case format::HookRole::kPosixMemalign:
      return address(leaktrace_thunk_posix_memalign);
    case format::HookRole::kFree:
      return address(leaktrace_thunk_free);
    case format::HookRole::kHeapDestroy:
      return address(leaktrace_thunk_heap_destroy);
    case format::HookRole::kHeapDelete:
      return address(leaktrace_thunk_heap_delete);
    case format::HookRole::kAllocateSite:
      return address(leaktrace_thunk_allocate_site);
    case format::HookRole::kFreeSite:
      return address(leaktrace_thunk_free_site);
    default:
      return nullptr;
  }
}

}  // namespace leaktrace::preload
