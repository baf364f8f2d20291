// Captures the calling thread's stack and gives it a number: the innermost node of the thread's stack tree.
//
// For the thread itself, with its guard at kWriting; not from two places at once. Reads only memory of stacks that it
// knows to be mapped, calls nothing of libc but, where the user chose that unwinder, libunwind.
#pragma once

#include <cstdint>

#include "preload/base/registers.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

// The node of the frame that `registers` describe; its callers are its parents. New nodes are in the thread's ring when
// this returns, so a record that names the node must be written after. 0: no stack, because a node could not be written
// or there is no memory. Stacks beyond the depth limit and those whose end was not found are counted in the thread's
// slot.
std::uint32_t CaptureStack(ThreadState& thread, const Registers& registers);

// Frees the tree of a thread that ends, or that begins anew in another slot. Cheap where there is none.
void ReleaseStackTree(ThreadState& thread);

}  // namespace leaktrace::preload
