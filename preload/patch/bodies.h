// The bodies of hooks on patched functions: called by the thunks only.
#pragma once

#include <cstdint>

extern "C" {

// What a thunk pushed: the arguments as the hooked function got them.
struct CallFrame {
  std::uint64_t rdi, rsi, rdx, rcx, r8, r9, r10, r11;
  std::uint64_t rbp;             // the caller's
  std::uint64_t index;           // of the hook
  std::uint64_t return_address;  // into the caller
};
static_assert(sizeof(CallFrame) == 88);

// The registers in the middle of a function, by hardware number.
struct SiteFrame {
  std::uint64_t registers[16];
  std::uint64_t flags;
  std::uint64_t stub;  // return address into the site's stub
  std::uint64_t index;
};
static_assert(sizeof(SiteFrame) == 152);

#define LEAKTRACE_BODY __attribute__((visibility("hidden"), used))
LEAKTRACE_BODY std::uint64_t leaktrace_on_allocate(const CallFrame* frame);
LEAKTRACE_BODY std::uint64_t leaktrace_on_reallocate(const CallFrame* frame);
LEAKTRACE_BODY std::uint64_t leaktrace_on_posix_memalign(const CallFrame* frame);
LEAKTRACE_BODY std::uint64_t leaktrace_on_free(const CallFrame* frame);
LEAKTRACE_BODY std::uint64_t leaktrace_on_heap_destroy(const CallFrame* frame);
LEAKTRACE_BODY std::uint64_t leaktrace_on_heap_delete(const CallFrame* frame);
LEAKTRACE_BODY void leaktrace_on_allocate_site(const SiteFrame* frame);
LEAKTRACE_BODY void leaktrace_on_free_site(const SiteFrame* frame);
#undef LEAKTRACE_BODY

}  // extern "C"
