// Stamps: what orders the events of all threads (format/ring.h, "Order of events").
#pragma once

#include <cstdint>

#include "format/ring.h"
#include "preload/base/attributes.h"
#include "preload/session/process.h"

namespace leaktrace::preload {

LEAKTRACE_HOT std::uint64_t NextSequence() { return process.header->sequence.fetch_add(1, std::memory_order_relaxed); }

// Ticks since the session began, for a release: read before the memory is given back, and after the address was
// obtained. RDTSC alone may run before earlier loads have their values, so that a block that another thread has just
// handed over would be stamped as freed before it was allocated; LFENCE waits for them (Intel SDM volume 2B, RDTSC; AMD
// APM volume 3, LFENCE). Seen: 1 in 250,000 events of threads that free each other's blocks.
LEAKTRACE_HOT std::uint64_t StampRelease() {
  if (process.clock != format::ClockKind::kTsc) [[unlikely]]
    return NextSequence();
  __builtin_ia32_lfence();
  return __builtin_ia32_rdtsc() - process.start_ticks;
}

// ... for an acquisition: read after the memory was obtained, and as late as possible before the record is published.
// RDTSC may still run before earlier loads have their values, so that a block's allocation can be stamped shortly
// before the release that made it possible. Waiting would cost as much as the rest of the hook here, where the loads are
// still under way; the recorder puts such pairs in order instead.
LEAKTRACE_HOT std::uint64_t StampAcquisition() {
  if (process.clock != format::ClockKind::kTsc) [[unlikely]]
    return NextSequence();
  return __builtin_ia32_rdtsc() - process.start_ticks;
}

}  // namespace leaktrace::preload
