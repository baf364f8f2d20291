#include "preload/unwind/readable_stack.h"

#include "preload/base/syscall.h"

namespace leaktrace::preload {

StackBounds ForeignBounds(std::uintptr_t sp) {
  // stack_t of the kernel (include/uapi/asm-generic/signal.h).
  struct {
    std::uintptr_t base;
    std::int32_t flags;
    std::size_t size;
  } alternate{};
  constexpr std::int32_t kDisabled = 2;
  constexpr std::uintptr_t kPage = 4096;
  if (!Failed(Syscall(SYS_sigaltstack, 0, Argument(&alternate))) && (alternate.flags & kDisabled) == 0 &&
      sp >= alternate.base && sp - alternate.base < alternate.size) {
    return {sp, alternate.base + alternate.size};
  }
  return {sp, (sp & ~(kPage - 1)) + kPage};
}

}  // namespace leaktrace::preload
