// The recorder's view of the shared memory (format/ring.h). The target may write anything into it at any time: what is
// read is copied first and checked then, and every place in it lies within bounds that were fixed when it was mapped.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "format/hook_map.h"
#include "format/ring.h"

namespace leaktrace::record {

// What the target said when the session was mapped; does not change afterwards.
struct SessionFacts {
  std::uint32_t pid = 0, parent_pid = 0;
  bool forked = false;  // a forked child, which frees blocks that its parent allocated
  format::ClockKind clock{};
  std::uint64_t start_ticks = 0, start_monotonic_ns = 0, start_realtime_ns = 0;
  format::SessionOptions options{};
  std::string output_path, executable;
  std::vector<std::string> arguments;
};

class Session {
 public:
  // Maps the memory behind the descriptor, which stays the caller's. The error says what is wrong with it.
  [[nodiscard]] static absl::StatusOr<Session> Map(int descriptor);
  Session(Session&& other) noexcept;
  Session& operator=(Session&&) = delete;
  ~Session();

  [[nodiscard]] const SessionFacts& facts() const { return facts_; }
  [[nodiscard]] format::SessionHeader& header() const { return *header_; }

  // Rings whose memory is there: at most kMaxThreads.
  [[nodiscard]] std::uint32_t ring_count() const { return ring_count_; }
  [[nodiscard]] format::ThreadSlot& slot(std::uint32_t index) const { return slots_[index]; }
  // ring_words() words, a power of two.
  [[nodiscard]] const std::uint64_t* ring(std::uint32_t index) const {
    return rings_ + std::uint64_t{index} * ring_words_;
  }
  [[nodiscard]] std::uint64_t ring_words() const { return ring_words_; }

  [[nodiscard]] absl::Span<format::UnwindModule> unwind_modules() const {
    return {modules_, format::kMaxUnwindModules};
  }
  // The recorder's to fill.
  [[nodiscard]] absl::Span<format::UnwindRow> unwind_rows() const { return rows_; }
  [[nodiscard]] std::uint64_t rows_offset() const { return rows_offset_; }
  // Null where the session has no room for it.
  [[nodiscard]] format::HookMapTable* hook_map() const { return hook_map_; }
  // `bytes` of the session's memory at an offset that the header named; null where they are not within it.
  [[nodiscard]] void* At(std::uint64_t offset, std::uint64_t bytes) const;

  void SetRecorderState(format::RecorderState state) const;
  // Wakes all who wait on this word of the session.
  static void Wake(std::atomic<std::uint32_t>& word);

 private:
  Session() = default;
  absl::Status Check();
  void CopyFacts();

  std::uint8_t* memory_ = nullptr;
  std::uint64_t bytes_ = 0;
  format::SessionHeader* header_ = nullptr;
  format::ThreadSlot* slots_ = nullptr;
  format::UnwindModule* modules_ = nullptr;
  format::HookMapTable* hook_map_ = nullptr;
  absl::Span<format::UnwindRow> rows_;
  std::uint64_t rows_offset_ = 0;
  const std::uint64_t* rings_ = nullptr;
  std::uint64_t ring_words_ = 0;
  std::uint32_t ring_count_ = 0;
  SessionFacts facts_;
};

}  // namespace leaktrace::record
