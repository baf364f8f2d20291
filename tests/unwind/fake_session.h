// A session without a recorder, for tests that run the library's stack capture in their own process: the rows of every
// loaded module, and a ring that is read back into stacks.
#pragma once

#include <cstdint>
#include <vector>

#include "format/ring.h"
#include "preload/thread/thread_state.h"

namespace leaktrace {

struct FakeOptions {
  std::uint32_t max_depth = format::kDefaultMaxDepth;
  format::Unwinder unwinder = format::Unwinder::kRows;
};

// A node's frame as it was written to the ring.
struct RecordedFrame {
  format::FrameKind kind;
  std::uint64_t value;
  std::uint32_t auxiliary;
  bool operator==(const RecordedFrame&) const = default;
};

// Becomes the process's session (preload::process) for as long as it lives. One at a time.
class FakeSession {
 public:
  explicit FakeSession(const FakeOptions& options = {});
  FakeSession(const FakeSession&) = delete;
  FakeSession& operator=(const FakeSession&) = delete;
  ~FakeSession();

  // Adds modules that were loaded since, and changes the epoch.
  void UpdateModules();

  [[nodiscard]] format::SessionHeader& header() { return *reinterpret_cast<format::SessionHeader*>(memory_); }

 private:
  std::uint8_t* memory_;
  std::uint32_t modules_ = 0;
  std::uint64_t rows_end_;
};

// The calling thread as part of the session, with a ring of `words` (a power of two) that nothing stops from being
// overwritten: read it before that. Frees its stack tree at the end.
class FakeThread {
 public:
  explicit FakeThread(std::uint64_t words = 1 << 22);
  FakeThread(const FakeThread&) = delete;
  FakeThread& operator=(const FakeThread&) = delete;
  ~FakeThread();

  preload::ThreadState& state() { return state_; }
  [[nodiscard]] const format::ThreadSlot& slot() const { return slot_; }
  // Records written so far that define nodes, resets included.
  [[nodiscard]] std::uint64_t node_records() const { return state_.head / 3; }
  // Frames from the innermost, which is `node`, outwards.
  std::vector<RecordedFrame> Stack(std::uint32_t node);
  // The same for a tree that was begun anew without a word in the ring.
  std::vector<RecordedFrame> StackOfFreshTree(std::uint32_t node);
  // From now on there is no room in the ring for more than `words` more.
  void LimitRing(std::uint64_t words) { state_.limit = state_.head + words; }

 private:
  struct Node {
    std::uint32_t parent;
    RecordedFrame frame;
  };
  void ReadRing();

  std::vector<std::uint64_t> ring_;
  format::ThreadSlot slot_{};
  preload::ThreadState state_;
  std::uint64_t read_ = 0;
  std::vector<Node> nodes_;
};

}  // namespace leaktrace
