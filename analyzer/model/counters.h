// Counts the events of the heap and of mappings per origin: the inner loop of every analysis. For one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/model/origin.h"
#include "analyzer/model/timeline.h"

namespace leaktrace::model {

// One cache line per origin.
struct alignas(64) OriginCounter {
  std::uint64_t live_bytes = 0;
  std::uint64_t live_blocks = 0;
  std::uint64_t allocations = 0;
  std::uint64_t allocated_bytes = 0;
  std::uint64_t peak_bytes = 0;
  std::uint64_t peak_blocks = 0;
  std::uint64_t peak = 0;        // number of the peak that peak_bytes and peak_blocks are of
  std::uint32_t checkpoint = 0;  // number of the checkpoint after which it changed last
};
static_assert(sizeof(OriginCounter) == 64);

struct HeapTotals {
  std::uint64_t live_bytes = 0, live_blocks = 0;
  std::uint64_t allocations = 0, allocated_bytes = 0;
};

// What was live at the peak is known without a copy of all counters at each new peak: a counter that changes for the
// first time since the last peak first saves its state, which is the one that it had at that peak.
class Counters {
 public:
  void AddOrigin() { counters_.emplace_back(); }
  [[nodiscard]] const std::vector<OriginCounter>& counters() const { return counters_; }
  [[nodiscard]] const HeapTotals& heap() const { return heap_; }
  [[nodiscard]] const HeapTotals& mappings() const { return mappings_; }
  [[nodiscard]] std::uint64_t peak_bytes() const { return peak_bytes_; }
  [[nodiscard]] std::uint64_t peak_blocks() const { return peak_blocks_; }
  [[nodiscard]] std::uint64_t peak_event() const { return peak_event_; }

  void Prefetch(OriginId origin) const { __builtin_prefetch(&counters_[origin], 1); }

  void Allocate(OriginId origin, std::uint64_t size, std::uint64_t event) {
    OriginCounter& counter = Touch(origin);
    counter.live_bytes += size;
    ++counter.live_blocks;
    ++counter.allocations;
    counter.allocated_bytes += size;
    heap_.live_bytes += size;
    ++heap_.live_blocks;
    ++heap_.allocations;
    heap_.allocated_bytes += size;
    if (heap_.live_bytes > peak_bytes_) {
      peak_bytes_ = heap_.live_bytes;
      peak_blocks_ = heap_.live_blocks;
      peak_event_ = event;
      ++peak_;
    }
  }

  // Of a block that was counted by Allocate.
  void Free(OriginId origin, std::uint64_t size) {
    OriginCounter& counter = Touch(origin);
    counter.live_bytes -= size;
    --counter.live_blocks;
    heap_.live_bytes -= size;
    --heap_.live_blocks;
  }

  void Map(OriginId origin, std::uint64_t bytes);
  // `whole`: nothing is left of the mapping.
  void Unmap(OriginId origin, std::uint64_t bytes, bool whole);

  // What changed since the last call.
  [[nodiscard]] std::vector<Change> TakeChanges();

  // Of every origin, as of now; exit_bytes and exit_blocks are those of the last SaveExit, or as live.
  [[nodiscard]] std::vector<OriginTotals> Totals() const;
  void SaveExit();

 private:
  OriginCounter& Touch(OriginId origin) {
    OriginCounter& counter = counters_[origin];
    if (counter.peak != peak_) {
      counter.peak = peak_;
      counter.peak_bytes = counter.live_bytes;
      counter.peak_blocks = counter.live_blocks;
    }
    if (counter.checkpoint != checkpoint_) {
      counter.checkpoint = checkpoint_;
      changed_.push_back(origin);
    }
    return counter;
  }

  std::vector<OriginCounter> counters_;
  std::vector<OriginId> changed_;  // since the last checkpoint
  std::uint32_t checkpoint_ = 1;
  std::uint64_t peak_ = 0;
  std::uint64_t peak_bytes_ = 0, peak_blocks_ = 0, peak_event_ = 0;
  HeapTotals heap_;
  HeapTotals mappings_;
  struct Live {
    std::uint64_t bytes = 0, blocks = 0;
  };
  std::vector<Live> exit_;
  bool exited_ = false;
};

}  // namespace leaktrace::model
