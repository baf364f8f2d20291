#include "preload/record/stack_tree.h"
namespace leaktrace::preload {
std::uint32_t CaptureStack(ThreadState&, const Registers&) { return 0; }
void ReleaseStackTree(ThreadState&) {}
}  // namespace leaktrace::preload
