#include "analyzer/model/survivors.h"

#include <algorithm>
#include <utility>

namespace leaktrace::model {

SurvivorCounter::SurvivorCounter(const TraceModel& model, Clock clock)
    : model_(model), clock_(clock), current_(model.origins.size()) {}

std::uint64_t SurvivorCounter::CheckpointBirth(std::size_t index) const {
  const Checkpoint& checkpoint = model_.timeline.checkpoints()[index];
  return clock_ == Clock::kAllocation ? checkpoint.allocation : checkpoint.event;
}

std::uint64_t SurvivorCounter::PhaseEnd(std::size_t index) const {
  const RunPhase& phase = model_.run_phases[index];
  return clock_ == Clock::kAllocation ? phase.end_allocation : phase.end_event;
}

void SurvivorCounter::Add(std::uint64_t birth, OriginId origin, std::uint64_t bytes) {
  if (birth >= interval_end_) {
    Flush();
    const std::size_t last_checkpoint = model_.timeline.checkpoints().size() - 1;
    const std::size_t last_phase = model_.run_phases.size() - 1;
    while (checkpoint_ < last_checkpoint && CheckpointBirth(checkpoint_) <= birth) ++checkpoint_;
    while (phase_ < last_phase && PhaseEnd(phase_) <= birth) ++phase_;
    interval_end_ = UINT64_MAX;
    if (checkpoint_ < last_checkpoint) interval_end_ = std::min(interval_end_, CheckpointBirth(checkpoint_));
    if (phase_ < last_phase) interval_end_ = std::min(interval_end_, PhaseEnd(phase_));
  }
  Survivors& entry = current_[origin];
  if (entry.blocks == 0) touched_.push_back(origin);
  entry.bytes += bytes;
  ++entry.blocks;
}

void SurvivorCounter::Flush() {
  std::sort(touched_.begin(), touched_.end());
  for (OriginId origin : touched_) {
    Survivors& entry = current_[origin];
    entry.origin = origin;
    entry.run_phase = static_cast<std::uint32_t>(phase_);
    entry.checkpoint = static_cast<std::uint32_t>(checkpoint_);
    finished_.push_back(std::exchange(entry, {}));
  }
  touched_.clear();
}

std::vector<Survivors> SurvivorCounter::Finish() && {
  Flush();
  return std::move(finished_);
}

}  // namespace leaktrace::model
