// Sorts what lives to the end by when it was allocated: between which checkpoints, in which run phase. For one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/model/trace_model.h"

namespace leaktrace::model {

class SurvivorCounter {
 public:
  // What a block's age is measured by: its allocation number, or, for a mapping, the number of its event.
  enum class Clock : std::uint8_t { kAllocation, kEvent };

  // The model's timeline and run phases are final; both outlive this object.
  SurvivorCounter(const TraceModel& model, Clock clock);

  // Blocks are added in the order of their births.
  void Add(std::uint64_t birth, OriginId origin, std::uint64_t bytes);

  // Ordered by checkpoint, run phase and origin.
  [[nodiscard]] std::vector<Survivors> Finish() &&;

 private:
  [[nodiscard]] std::uint64_t CheckpointBirth(std::size_t index) const;
  [[nodiscard]] std::uint64_t PhaseEnd(std::size_t index) const;
  void Flush();

  const TraceModel& model_;
  Clock clock_;
  std::size_t checkpoint_ = 0;
  std::size_t phase_ = 0;
  std::uint64_t interval_end_ = 0;  // births from here on are of a later interval
  std::vector<Survivors> current_;  // by origin; blocks 0 = none yet
  std::vector<OriginId> touched_;
  std::vector<Survivors> finished_;
};

}  // namespace leaktrace::model
