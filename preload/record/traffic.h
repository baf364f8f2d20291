// Records what passes over a server's connections, and keeps the calling thread's request phase.
#pragma once

#include "format/ring.h"
#include "preload/base/attributes.h"
#include "preload/session/clock.h"
#include "preload/thread/ring_writer.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

// `count`: bytes, requests or the listening descriptor, as the event has it (format/ring.h). The guard is at kWriting.
LEAKTRACE_HOT void RecordSocket(ThreadState& thread, int descriptor, format::SocketEvent event, std::uint64_t count) {
  Append(thread, RecordWord(format::Op::kSocket, StampRelease()),
         std::uint64_t{static_cast<std::uint32_t>(descriptor)} << 32 | static_cast<std::uint64_t>(event), count);
}

}  // namespace leaktrace::preload
