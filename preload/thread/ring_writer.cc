#include "preload/thread/ring_writer.h"

#include "preload/base/memory.h"
#include "preload/base/syscall.h"
#include "preload/session/session.h"

namespace leaktrace::preload {
namespace {

using format::RecorderState;
using format::SessionHeader;

constexpr std::uint64_t kMillisecond = 1'000'000;

std::uint64_t FreeWords(const ThreadState& thread) {
  // Matched by the recorder's release store of tail: it has read the words before.
  const std::uint64_t tail = thread.slot->tail.load(std::memory_order_acquire);
  const std::uint64_t used = thread.head - tail;
  // A tail that no reader could have left is not trusted further than to a full ring.
  return used <= thread.mask + 1 ? thread.mask + 1 - used : 0;
}

void WakeRecorder(SessionHeader& header) {
  if (header.recorder_asleep.load(std::memory_order_relaxed) != 0 && header.recorder_asleep.exchange(0) != 0) {
    FutexWake(&header.recorder_asleep);
  }
}

// Waits until `words` are free. False: recording has stopped.
bool AwaitRoom(ThreadState& thread, std::uint64_t words) {
  constexpr std::uint64_t kPatience = 5'000 * kMillisecond, kCheck = 100 * kMillisecond;
  constexpr int kSpins = 64;
  constexpr std::int64_t kNap = 50'000;
  SessionHeader& header = *shared_memory.header;
  thread.slot->waits.fetch_add(1, std::memory_order_relaxed);
  std::uint64_t progress = header.progress.load(std::memory_order_relaxed);
  std::uint64_t since = MonotonicNanoseconds(), checked = since;
  for (int turn = 0;; ++turn) {
    if (FreeWords(thread) >= words) return true;
    if (process.session.load(std::memory_order_relaxed) == kNotRecording) return false;
    WakeRecorder(header);
    if (turn < kSpins) {
      Syscall(SYS_sched_yield);
      continue;
    }
    SleepNanoseconds(kNap);
    const std::uint64_t now = MonotonicNanoseconds();
    if (now - checked < kCheck) continue;
    checked = now;
    const RecorderState state = header.recorder_state.load(std::memory_order_relaxed);
    if (RecorderIsGone() || state == RecorderState::kFailed || state == RecorderState::kFinished) {
      Stop(format::StopReason::kRecorderLost, "the recorder ended; recording stopped, the program goes on");
      return false;
    }
    if (const std::uint64_t latest = header.progress.load(std::memory_order_relaxed); latest != progress) {
      progress = latest;
      since = now;
    } else if (now - since > kPatience) {
      Stop(format::StopReason::kRecorderStuck,
           "the recorder made no progress for 5 s; recording stopped, the program goes on");
      return false;
    }
  }
}

}  // namespace

bool MakeRoom(ThreadState& thread, std::uint64_t words, bool may_drop) {
  const std::uint64_t capacity = thread.mask + 1;
  std::uint64_t left = FreeWords(thread);
  if (left < words) {
    SessionHeader& header = *shared_memory.header;
    if (may_drop && header.options.overflow == format::OverflowPolicy::kDrop) {
      thread.slot->dropped.fetch_add(1, std::memory_order_relaxed);
      WakeRecorder(header);
      return false;
    }
    if (!AwaitRoom(thread, words)) return false;
    left = FreeWords(thread);
  }
  // The next look is when the ring is half full, for the recorder to be woken, and after that when it is full.
  const std::uint64_t used = capacity - left;
  if (used + words > capacity / 2) {
    WakeRecorder(*shared_memory.header);
    thread.limit = thread.head + left;
  } else {
    thread.limit = thread.head + capacity / 2 - used;
  }
  return true;
}

bool AppendVariable(ThreadState& thread, format::Op op, std::uint64_t stamp, const void* first, std::size_t first_bytes,
                    const void* second, std::size_t second_bytes) {
  if (first_bytes + second_bytes > format::kMaxVariableBytes) second_bytes = format::kMaxVariableBytes - first_bytes;
  const std::size_t bytes = first_bytes + second_bytes;
  const std::uint64_t words = 2 + (bytes + 7) / 8;
  if (thread.head + words > thread.limit && !MakeRoom(thread, words, false)) return false;
  std::uint64_t at = thread.head;
  thread.ring[at++ & thread.mask] = RecordWord(op, stamp);
  thread.ring[at++ & thread.mask] = bytes;
  const auto byte = [&](std::size_t i) {
    if (i >= bytes) return std::uint64_t{0};
    const void* const part = i < first_bytes ? first : second;
    return std::uint64_t{static_cast<const unsigned char*>(part)[i < first_bytes ? i : i - first_bytes]};
  };
  for (std::size_t i = 0; i < bytes; i += 8) {
    std::uint64_t word = 0;
    for (std::size_t j = 0; j < 8; ++j) word |= byte(i + j) << (8 * j);
    thread.ring[at++ & thread.mask] = word;
  }
  thread.head = at;
  thread.slot->head.store(at, std::memory_order_release);
  return true;
}

}  // namespace leaktrace::preload
