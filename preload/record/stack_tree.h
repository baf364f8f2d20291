#pragma once
#include <cstdint>

#include "preload/thread/thread_state.h"
namespace leaktrace::preload {
std::uint32_t CaptureStack(ThreadState& thread, const Registers& registers);
void ReleaseStackTree(ThreadState& thread);
}  // namespace leaktrace::preload
