// What the whole process shares: is it recorded, and where is its session.
//
// The page that holds it is emptied by the kernel in a forked child (MADV_WIPEONFORK). So a child never takes its
// parent's session for its own, however it was forked (a raw clone included), and no wrapper of fork is needed for
// that. A vfork child shares the page.
#pragma once

#include <atomic>
#include <cstdint>

#include "format/ring.h"

namespace leaktrace::preload {

// Values of Process::session.
inline constexpr std::uint32_t kUndecided =
    0;  // the process did not decide yet, or is a forked child: see session/session.h
inline constexpr std::uint32_t kNotRecording = 1;  // not traced, or tracing was stopped
inline constexpr std::uint32_t kFirstSession =
    2;  // this and above: recording; the number grows with each session in a line of forks
inline constexpr std::uint32_t kNoSession = ~0u;  // in ThreadState: this thread takes part in no session

struct alignas(4096) Process {
  // Compared with ThreadState::session at each event. Stored with release order after all else here is set; hooks load
  // it relaxed where the thread is already part of the session (it acquired the rest when it registered) and acquire
  // when they register.
  std::atomic<std::uint32_t> session;
  format::ClockKind clock;
  std::uint64_t start_ticks;
  format::SessionHeader* header;  // start of the mapped session
  std::uint32_t max_depth;
  format::Unwinder unwinder;
  std::uint32_t pid;
  int descriptor;  // of the memfd
};
static_assert(sizeof(Process) == 4096);

extern Process process __attribute__((visibility("hidden")));

}  // namespace leaktrace::preload
