// Stamps: what orders the events of all threads (format/ring.h, "Order of events").
#pragma once

#include <cstdint>

#include "format/ring.h"
#include "preload/base/attributes.h"
#include "preload/session/process.h"

namespace leaktrace::preload {

LEAKTRACE_HOT std::uint64_t NextSequence() { return process.header->sequence.fetch_add(1, std::memory_order_relaxed); }

// Ticks since the session began, for a release: read before the memory is given back. An early read is harmless.
LEAKTRACE_HOT std::uint64_t StampRelease() {
  if (process.clock != format::ClockKind::kTsc) [[unlikely]]
    return NextSequence();
  return __builtin_ia32_rdtsc() - process.start_ticks;
}

// ... for an acquisition: read after the memory was obtained. RDTSC may run before earlier loads have their values, so
// that a block's allocation could be stamped before the release that made it possible; RDTSCP waits for them (Intel SDM
// volume 2B, AMD APM volume 3).
LEAKTRACE_HOT std::uint64_t StampAcquisition() {
  if (process.clock != format::ClockKind::kTsc) [[unlikely]]
    return NextSequence();
  unsigned processor;
  return __builtin_ia32_rdtscp(&processor) - process.start_ticks;
}

}  // namespace leaktrace::preload
