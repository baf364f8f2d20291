// Appends records to the calling thread's ring.
//
// One producer: only the owning thread, and only while its guard is kWriting. A record is visible to the recorder as a
// whole or not at all: its words are written first, then the slot's head moves over them (release; matched by the
// recorder's acquire load of head).
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "format/ring.h"
#include "preload/base/attributes.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

LEAKTRACE_HOT constexpr std::uint64_t RecordWord(format::Op op, std::uint64_t stamp) {
  return (stamp << 8) | static_cast<std::uint8_t>(op);
}

// Makes room for `words` more words: wakes a sleeping recorder when the ring is half full, and waits for it when the
// ring is full, or drops (ThreadSlot::dropped counts) if that is the policy and `may_drop`. False: there is no room,
// because the record is to be dropped or because recording has stopped (it does when the recorder is gone or makes no
// progress for 5 seconds).
LEAKTRACE_COLD bool MakeRoom(ThreadState& thread, std::uint64_t words, bool may_drop);

// Appends a record of fixed length. False: it was not written (see MakeRoom); a kFrame that was not written defines no
// node.
template <typename... Words>
LEAKTRACE_HOT bool Append(ThreadState& thread, Words... words) {
  static_assert((std::is_same_v<Words, std::uint64_t> && ...));
  if (thread.head + sizeof...(words) > thread.limit) [[unlikely]] {
    if (!MakeRoom(thread, sizeof...(words), true)) return false;
  }
  std::uint64_t at = thread.head;
  ((thread.ring[at++ & thread.mask] = words), ...);
  thread.head = at;
  thread.slot->head.store(at, std::memory_order_release);
  return true;
}

// Appends a variable record: `first` and then `second`, at most kMaxVariableBytes together (more is cut off the end of
// `second`). False as above; never dropped by policy, since what variable records say is not repeated.
LEAKTRACE_COLD bool AppendVariable(ThreadState& thread, format::Op op, std::uint64_t stamp, const void* first,
                                   std::size_t first_bytes, const void* second = nullptr, std::size_t second_bytes = 0);

}  // namespace leaktrace::preload
