// What was live over time, per origin, at a bounded number of checkpoints.
//
// Checkpoints are taken at equal steps of time, of events and of requests, each of which has a budget; when a budget is
// used up, every second checkpoint of that kind is dropped and the step doubles. So activity is resolved wherever it
// was, and memory does not grow with the length of the trace. Begins and ends of marked run phases have checkpoints of
// their own. Only what changed since the checkpoint before is stored.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "analyzer/model/origin.h"

namespace leaktrace::model {

// The state before the event with the number `event`. Bytes and blocks are of the heap, unless they say otherwise.
struct Checkpoint {
  std::uint64_t time = 0;  // ns since the start
  std::uint64_t event = 0;
  std::uint64_t allocation = 0;                        // blocks with a smaller number were allocated before
  std::uint64_t requests = 0;                          // so far
  std::uint64_t allocations = 0, frees = 0;            // so far
  std::uint64_t allocated_bytes = 0, freed_bytes = 0;  // so far
  std::uint64_t live_bytes = 0, live_blocks = 0;
  std::uint64_t js_heap_bytes = 0;               // the part of live_bytes whose origins have `js_heap`
  std::uint64_t mapped_bytes = 0, mappings = 0;  // by mmap
  std::uint64_t mapped_js_heap_bytes = 0;        // the part of mapped_bytes whose origins have `js_heap`
};

// From a checkpoint on, this much of an origin is live, and this much was ever allocated.
struct Change {
  OriginId origin = 0;
  std::uint32_t blocks = 0;  // saturates
  std::uint64_t bytes = 0;
  std::uint64_t allocations = 0;
  std::uint64_t allocated_bytes = 0;
};

struct SeriesPoint {
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
};

class Timeline {
 public:
  // In the order of time; the last one is the end of the trace. At most a few hundred.
  [[nodiscard]] absl::Span<const Checkpoint> checkpoints() const { return checkpoints_; }

  // What changed between checkpoint `index - 1` and `index`, ordered by origin, one entry for each origin. Before the
  // first: nothing was live.
  [[nodiscard]] absl::Span<const Change> changes(std::size_t index) const { return changes_[index]; }

  // Live bytes and blocks of groups of origins at every checkpoint. `group_of` has a group for each origin, or a
  // negative number for none; groups are 0 to `groups` - 1. The result has `groups` series of checkpoints().size()
  // points each, one after the other. Linear in the stored changes; ask for all groups at once.
  [[nodiscard]] std::vector<SeriesPoint> Series(absl::Span<const std::int32_t> group_of, std::size_t groups) const;

  // Index of the first checkpoint whose state is not older than before event `event`.
  [[nodiscard]] std::size_t At(std::uint64_t event) const;

 private:
  friend class TimelineBuilder;
  std::vector<Checkpoint> checkpoints_;
  std::vector<std::vector<Change>> changes_;
};

}  // namespace leaktrace::model
