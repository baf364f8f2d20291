#include "analyzer/report/history.h"

#include <algorithm>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "analyzer/leak/cause.h"

namespace leaktrace::report {
namespace {

using model::OriginId;
using model::TraceModel;

// Larger ones are reserved, and what of them is resident is not known: the regions of allocators and engines.
constexpr std::uint64_t kReservation = 32 << 20;

double Seconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

// Quick samples tell anonymous memory from files alone; whole ones have more parts, of which some are mixed.
leak::MemorySample Convert(const TraceModel& model, const model::MemorySample& sample) {
  leak::MemorySample out;
  out.time = Seconds(sample.time);
  out.rss = sample.rss;
  if (sample.categories.empty()) return out;
  std::uint64_t anonymous = 0, files = 0;
  for (const model::MemorySample::Category& category : sample.categories) {
    const std::string& name = model.memory_categories[category.name];
    const std::uint64_t own = std::min(category.anonymous, category.rss);
    anonymous += own;
    if (name == "leaktrace") {
      out.tracer = category.rss - own;
    } else {
      files += category.rss - own;
    }
    if (name == "javascript heap") out.js_heap = own;
    if (name == "stack") out.stacks = own;
  }
  out.anonymous = anonymous;
  out.files = files;
  return out;
}

std::vector<leak::PhaseSpan> Phases(const TraceModel& model) {
  std::vector<leak::PhaseSpan> spans;
  for (const model::RunPhase& phase : model.run_phases) {
    spans.push_back({.name = phase.name,
                     .first_point = static_cast<std::uint32_t>(phase.start_checkpoint),
                     .last_point = static_cast<std::uint32_t>(phase.end_checkpoint),
                     .marked = !phase.detected});
  }
  return spans;
}

// What of a live timeline an origin belongs to. Mappings of the engine are part of its heap.
enum class Counting : std::uint8_t { kNot, kBlocks, kJsBlocks, kMapped, kJsMapped };

Counting CountingOf(const TraceModel& model, const Names& names, OriginId id) {
  const model::Origin& origin = model.origins[id];
  if (!origin.mapping) return IsJsHeap(model, id) ? Counting::kJsBlocks : Counting::kBlocks;
  const model::OriginTotals& totals = model.totals[id];
  if (totals.allocations > 0 && totals.allocated_bytes / totals.allocations >= kReservation) return Counting::kNot;
  std::vector<leak::StackLine> stack;
  for (const StackLine& at : names.Stack(origin.stack)) stack.push_back({at.line, symbolize::SiteRole::kSite});
  const bool js_heap = origin.js_heap || leak::OwnerOf(stack) == leak::Owner::kJsEngine;
  return js_heap ? Counting::kJsMapped : Counting::kMapped;
}

// Moves what is JavaScript heap out of the live blocks, and adds up mappings, at every point.
void CountLive(const TraceModel& model, const Names& names, leak::ProcessHistory& process) {
  constexpr std::size_t kGroups = 5;
  std::vector<std::int32_t> group_of(model.origins.size(), -1);
  for (OriginId id = model::kLostOrigin + 1; id < model.origins.size(); ++id) {
    group_of[id] = static_cast<std::int32_t>(CountingOf(model, names, id));
  }
  const std::vector<model::SeriesPoint> series = model.timeline.Series(group_of, kGroups);
  const std::size_t points = process.timeline.size();
  const auto at = [&](Counting group, std::size_t point) -> const model::SeriesPoint& {
    return series[static_cast<std::size_t>(group) * points + point];
  };
  for (std::size_t i = 0; i < points; ++i) {
    leak::TimelinePoint& point = process.timeline[i];
    point.live_bytes = at(Counting::kBlocks, i).bytes;
    point.live_blocks = at(Counting::kBlocks, i).blocks;
    point.js_live_bytes = at(Counting::kJsBlocks, i).bytes;
    point.js_mapped_bytes = at(Counting::kJsMapped, i).bytes;
    point.mapped_bytes = at(Counting::kMapped, i).bytes;
  }
}

// Adds the history of one origin to that of a site that may have others.
class SiteBuilder {
 public:
  explicit SiteBuilder(std::size_t points) : points_(points) {}

  void Change(std::uint32_t point, const model::Change& change) {
    model::Change& state = last_[change.origin];
    live_bytes_ += change.bytes - state.bytes;
    live_blocks_ += std::uint64_t{change.blocks} - state.blocks;
    allocated_bytes_ += change.allocated_bytes - state.allocated_bytes;
    allocations_ += change.allocations - state.allocations;
    state = change;
    if (history_.points.empty() || history_.points.back().point != point) history_.points.push_back({.point = point});
    leak::SitePoint& at = history_.points.back();
    at.live_bytes = live_bytes_;
    at.live_blocks = live_blocks_;
    at.allocated_bytes_so_far = allocated_bytes_;
    at.allocations_so_far = allocations_;
  }

  void Survive(const model::Survivors& survivors) {
    if (survivors.checkpoint >= points_) return;
    if (history_.survivors.empty() || history_.survivors.back().interval != survivors.checkpoint) {
      history_.survivors.push_back({.interval = survivors.checkpoint});
    }
    history_.survivors.back().bytes += survivors.bytes;
    history_.survivors.back().blocks += survivors.blocks;
  }

  leak::SiteHistory Take() { return std::move(history_); }

 private:
  std::size_t points_;
  absl::flat_hash_map<OriginId, model::Change> last_;
  std::uint64_t live_bytes_ = 0, live_blocks_ = 0, allocated_bytes_ = 0,
                allocations_ = 0;  // wrap and come back: sums of differences
  leak::SiteHistory history_;
};

}  // namespace

bool IsJsHeap(const TraceModel& model, OriginId id) {
  const model::Origin& origin = model.origins[id];
  if (origin.js_heap) return true;
  // JavaScriptCore's heap is made of blocks of 16 KiB that are aligned to their size (MarkedBlock::blockSize in its
  // heap/MarkedBlock.h).
  constexpr std::uint64_t kMarkedBlock = 16 << 10;
  using format::EntryPoint;
  const bool aligned = origin.entry == EntryPoint::kMemalign || origin.entry == EntryPoint::kAlignedAlloc ||
                       origin.entry == EntryPoint::kPosixMemalign;
  const model::OriginTotals& totals = model.totals[id];
  return model.program.runtime_name == "bun" && aligned && totals.allocations > 0 &&
         totals.allocated_bytes == kMarkedBlock * totals.allocations;
}

leak::ProcessHistory MakeProcessHistory(const TraceModel& model) {
  leak::ProcessHistory process;
  for (const model::Checkpoint& checkpoint : model.timeline.checkpoints()) {
    process.timeline.push_back({.time = Seconds(checkpoint.time),
                                .requests_so_far = checkpoint.requests,
                                .allocations_so_far = checkpoint.allocations,
                                .live_bytes = checkpoint.live_bytes,
                                .live_blocks = checkpoint.live_blocks});
  }
  process.phases = Phases(model);
  for (const model::MemorySample& sample : model.memory) process.memory.push_back(Convert(model, sample));
  for (const model::JsHeapSample& sample : model.js_heap) {
    process.js_heap.push_back(
        {Seconds(sample.time), sample.heap_used, sample.heap_total, sample.external, sample.array_buffers});
  }
  if (model.exit.has_value()) process.exit_point = static_cast<std::uint32_t>(model.exit->checkpoint);
  process.runtime = model.program.runtime_name;
  process.complete = model.integrity.lost_events == 0 && model.integrity.dropped == 0;
  return process;
}

std::vector<OriginGrowth> GrowthByOrigin(const TraceModel& model, const leak::Window& window) {
  std::vector<OriginGrowth> growth(model.origins.size());
  for (const model::Survivors& survivors : model.survivors) {
    if (survivors.checkpoint <= window.first || survivors.checkpoint > window.last) continue;
    growth[survivors.origin].bytes += survivors.bytes;
    growth[survivors.origin].blocks += survivors.blocks;
  }
  return growth;
}

Histories MakeHistories(const TraceModel& model, Names& names) {
  Histories out;
  out.process = MakeProcessHistory(model);
  std::vector<model::FrameId> mapping_stacks;
  for (const model::Origin& origin : model.origins) {
    if (origin.mapping) mapping_stacks.push_back(origin.stack);
  }
  names.Resolve(mapping_stacks);
  CountLive(model, names, out.process);

  absl::flat_hash_map<std::tuple<model::FrameId, bool, bool>, std::uint32_t> sites;
  std::vector<std::uint32_t> site_of(model.origins.size());
  for (OriginId id = model::kLostOrigin + 1; id < model.origins.size(); ++id) {
    const model::Origin& origin = model.origins[id];
    const bool js_heap = IsJsHeap(model, id);
    const auto [at, added] = sites.try_emplace({origin.stack, origin.mapping, js_heap}, out.sites.size());
    if (added) {
      out.sites.push_back({origin.stack, origin.mapping ? leak::Memory::kMapping : leak::Memory::kHeap, js_heap, {}});
    }
    site_of[id] = at->second;
    out.sites[at->second].origins.push_back(id);
  }

  std::vector<SiteBuilder> builders(out.sites.size(), SiteBuilder(out.process.timeline.size()));
  for (std::size_t point = 0; point < out.process.timeline.size(); ++point) {
    for (const model::Change& change : model.timeline.changes(point)) {
      if (change.origin == model::kLostOrigin) continue;
      builders[site_of[change.origin]].Change(static_cast<std::uint32_t>(point), change);
    }
  }
  for (const model::Survivors& survivors : model.survivors) {
    if (survivors.origin != model::kLostOrigin) builders[site_of[survivors.origin]].Survive(survivors);
  }
  for (std::size_t i = 0; i < out.sites.size(); ++i) {
    leak::SiteHistory& history = out.histories.emplace_back(builders[i].Take());
    history.site = static_cast<std::uint32_t>(i);
    history.memory = out.sites[i].memory;
    history.js_heap = out.sites[i].js_heap;
  }
  return out;
}

}  // namespace leaktrace::report
