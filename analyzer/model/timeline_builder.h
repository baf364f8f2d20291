// Takes the checkpoints of a Timeline and keeps their number bounded. For one thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "analyzer/model/timeline.h"

namespace leaktrace::model {

class TimelineBuilder {
 public:
  // Why a checkpoint is taken. Each reason has a budget of its own, so that a burst in one measure does not cost the
  // resolution in another.
  enum class Reason : std::uint8_t { kTime, kEvents, kRequests, kQuiet, kBoundary, kEnd, kCount };

  // What is expected of the trace; 0 = not known. Wrong values cost resolution or a few passes of thinning, nothing
  // else.
  TimelineBuilder(std::uint64_t duration, std::uint64_t events);

  // Where the next checkpoint of this reason is due: a time, an event number or a number of requests.
  [[nodiscard]] std::uint64_t Next(Reason reason) const { return next_[Index(reason)]; }
  // Where the one after is due, when one is taken at `position`.
  [[nodiscard]] std::uint64_t After(Reason reason, std::uint64_t position) const {
    return (position / steps_[Index(reason)] + 1) * steps_[Index(reason)];
  }

  // `changes` is what changed since the checkpoint before, one entry for each origin, in any order.
  void Add(Reason reason, const Checkpoint& checkpoint, std::vector<Change> changes);

  [[nodiscard]] std::size_t size() const { return timeline_.checkpoints_.size(); }
  [[nodiscard]] Timeline Finish() &&;

 private:
  static constexpr std::size_t kReasons = static_cast<std::size_t>(Reason::kCount);
  static constexpr std::size_t Index(Reason reason) { return static_cast<std::size_t>(reason); }

  void Advance(Reason reason, const Checkpoint& checkpoint);
  void Thin(Reason reason);
  void Drop(const std::vector<bool>& dropped);

  Timeline timeline_;
  std::vector<Reason> reasons_;  // of each checkpoint
  std::array<std::size_t, kReasons> counts_{};
  std::array<std::size_t, kReasons> budgets_;
  std::array<std::uint64_t, kReasons> steps_{};
  std::array<std::uint64_t, kReasons> next_{};
  std::size_t stored_changes_ = 0;
};

}  // namespace leaktrace::model
