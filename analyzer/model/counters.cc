#include "analyzer/model/counters.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace leaktrace::model {

void Counters::Map(OriginId origin, std::uint64_t bytes) {
  OriginCounter& counter = Touch(origin);
  counter.live_bytes += bytes;
  ++counter.live_blocks;
  ++counter.allocations;
  counter.allocated_bytes += bytes;
  mappings_.live_bytes += bytes;
  ++mappings_.live_blocks;
  ++mappings_.allocations;
  mappings_.allocated_bytes += bytes;
}

void Counters::Unmap(OriginId origin, std::uint64_t bytes, bool whole) {
  OriginCounter& counter = Touch(origin);
  counter.live_bytes -= bytes;
  mappings_.live_bytes -= bytes;
  if (whole) {
    --counter.live_blocks;
    --mappings_.live_blocks;
  }
}

std::vector<Change> Counters::TakeChanges() {
  std::vector<Change> changes;
  changes.reserve(changed_.size());
  for (OriginId origin : changed_) {
    const OriginCounter& counter = counters_[origin];
    changes.push_back({.origin = origin,
                       .blocks = static_cast<std::uint32_t>(
                           std::min<std::uint64_t>(counter.live_blocks, std::numeric_limits<std::uint32_t>::max())),
                       .bytes = counter.live_bytes,
                       .allocations = counter.allocations,
                       .allocated_bytes = counter.allocated_bytes});
  }
  changed_.clear();
  ++checkpoint_;
  return changes;
}

void Counters::SaveExit() {
  exited_ = true;
  exit_.clear();
  exit_.reserve(counters_.size());
  for (const OriginCounter& counter : counters_) {
    exit_.push_back({.bytes = counter.live_bytes, .blocks = counter.live_blocks});
  }
}

std::vector<OriginTotals> Counters::Totals() const {
  std::vector<OriginTotals> totals;
  totals.reserve(counters_.size());
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    const OriginCounter& counter = counters_[i];
    const bool unchanged = counter.peak != peak_;
    Live exit{.bytes = counter.live_bytes, .blocks = counter.live_blocks};
    if (exited_) exit = i < exit_.size() ? exit_[i] : Live{};
    totals.push_back({.live_bytes = counter.live_bytes,
                      .live_blocks = counter.live_blocks,
                      .allocations = counter.allocations,
                      .allocated_bytes = counter.allocated_bytes,
                      .peak_bytes = unchanged ? counter.live_bytes : counter.peak_bytes,
                      .peak_blocks = unchanged ? counter.live_blocks : counter.peak_blocks,
                      .exit_bytes = exit.bytes,
                      .exit_blocks = exit.blocks});
  }
  return totals;
}

}  // namespace leaktrace::model
