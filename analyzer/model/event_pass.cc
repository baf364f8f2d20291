#include "analyzer/model/event_pass.h"

#include <algorithm>
#include <utility>

namespace leaktrace::model {
namespace {

using format::EntryPoint;
using trace::KindAttributes;
using trace::Operation;

constexpr std::size_t kPrefetchDistance = 12;
constexpr std::uint16_t kExitMark = 19;

bool IsPhaseMark(const Mark& mark) { return mark.kind == static_cast<std::uint16_t>(format::MarkKind::kPhase); }

}  // namespace

EventPass::EventPass(TraceModel& model) : model_(model), timeline_(model.duration, model.events) {
  model_.origins.assign(1, Origin{});
  counters_.AddOrigin();
  origin_of_kind_.push_back(kLostOrigin);
  bool exit_seen = false;
  for (const Mark& mark : model_.marks) {
    const bool exits = mark.kind == kExitMark && !exit_seen;
    exit_seen |= exits;
    if (exits || IsPhaseMark(mark)) pending_.push_back(mark);
  }
  std::stable_sort(pending_.begin(), pending_.end(), [](const Mark& a, const Mark& b) { return a.event < b.event; });
}

void EventPass::OnFrames(const read::FrameBatch& batch) {
  for (std::size_t i = 0; i < batch.parents.size(); ++i) {
    model_.stacks.Add(batch.first_id + static_cast<FrameId>(i), batch.parents[i], batch.kinds[i], batch.values[i],
                      batch.auxiliaries[i]);
  }
}

OriginId EventPass::FindOrigin(FrameId stack, const KindAttributes& attributes, std::uint32_t route) {
  const bool js_heap = (attributes.flags & KindAttributes::kJsHeap) != 0;
  const std::uint32_t packed =
      static_cast<std::uint32_t>(attributes.entry) | static_cast<std::uint32_t>(attributes.allocator) << 8 |
      static_cast<std::uint32_t>(attributes.phase) << 16 | static_cast<std::uint32_t>(js_heap) << 24;
  const auto [found, inserted] =
      origin_ids_.try_emplace({stack, packed, route}, static_cast<OriginId>(model_.origins.size()));
  if (inserted) {
    model_.origins.push_back(
        {.stack = stack,
         .entry = attributes.entry,
         .allocator = attributes.allocator,
         .request_phase = attributes.phase,
         .js_heap = js_heap,
         .mapping = attributes.entry == EntryPoint::kMmap || attributes.entry == EntryPoint::kMremap,
         .route = route});
    if (js_heap) js_heap_origins_.push_back(found->second);
    counters_.AddOrigin();
  }
  return found->second;
}

void EventPass::OnKinds(const read::KindBatch& batch) {
  const std::size_t end = std::size_t{batch.first_id} + batch.stacks.size();
  if (origin_of_kind_.size() < end) origin_of_kind_.resize(end, kLostOrigin);
  for (std::size_t i = 0; i < batch.stacks.size(); ++i) {
    origin_of_kind_[batch.first_id + i] = FindOrigin(batch.stacks[i], batch.attributes[i], batch.routes[i]);
  }
}

void EventPass::OnEvents(const read::EventBatch& batch) {
  ResolveOrigins(batch);
  IndexTimes(batch);
  next_index_ = 0;
  next_acquired_ = next_released_ = next_side_ = 0;
  allocation_ = batch.first_allocation;
  PlanCuts(batch);
  for (const Cut& cut : cuts_) {
    RunTo(batch, cut.index);
    Take(cut, batch.first_event + cut.index);
  }
  RunTo(batch, static_cast<std::uint32_t>(batch.operations.size()));
  LocatePeak(batch);
  event_ = batch.first_event + batch.operations.size();
  time_ = std::max(time_, batch.end_time);
}

// Looks all kinds of a batch up at once, so that the cache misses of a table of millions of kinds overlap.
void EventPass::ResolveOrigins(const read::EventBatch& batch) {
  const auto resolve = [this](absl::Span<const std::uint32_t> kinds, std::vector<OriginId>& origins) {
    origins.resize(kinds.size());
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      if (i + kPrefetchDistance < kinds.size()) __builtin_prefetch(&origin_of_kind_[kinds[i + kPrefetchDistance]]);
      origins[i] = origin_of_kind_[kinds[i]];
    }
    // The inner loop looks ahead without asking for the end.
    origins.resize(kinds.size() + kPrefetchDistance, kLostOrigin);
  };
  resolve(batch.kinds, acquired_);
  resolve(batch.released_kinds, released_);
}

void EventPass::IndexTimes(const read::EventBatch& batch) {
  runs_ = batch.time_runs;
  run_starts_.clear();
  std::uint32_t start = 0;
  for (const read::TimeRun& run : runs_) {
    run_starts_.push_back(start);
    start += run.events;
  }
}

std::uint64_t EventPass::TimeOf(std::uint32_t index) const {
  if (runs_.empty()) return time_;
  const auto after = std::upper_bound(run_starts_.begin(), run_starts_.end(), index);
  return runs_[static_cast<std::size_t>(after - run_starts_.begin()) - 1].time;
}

std::uint32_t EventPass::FirstAt(std::uint64_t time) const {
  const auto run =
      std::partition_point(runs_.begin(), runs_.end(), [time](const read::TimeRun& r) { return r.time < time; });
  return run == runs_.end() ? UINT32_MAX : run_starts_[static_cast<std::size_t>(run - runs_.begin())];
}

void EventPass::PlanCuts(const read::EventBatch& batch) {
  const auto count = static_cast<std::uint32_t>(batch.operations.size());
  cuts_.clear();
  for (; next_pending_ < pending_.size() && pending_[next_pending_].event < batch.first_event + count;
       ++next_pending_) {
    const Mark& mark = pending_[next_pending_];
    const std::uint64_t index = mark.event > batch.first_event ? mark.event - batch.first_event : 0;
    cuts_.push_back({.index = static_cast<std::uint32_t>(index),
                     .time = mark.time,
                     .reason = Reason::kBoundary,
                     .use = Cut::Use::kMark,
                     .mark = next_pending_});
  }
  PlanTraffic(batch);
  for (std::uint64_t time = timeline_.Next(Reason::kTime);;) {
    const std::uint32_t index = FirstAt(time);
    if (index >= count) break;
    cuts_.push_back({.index = index, .time = TimeOf(index), .reason = Reason::kTime, .position = TimeOf(index)});
    time = timeline_.After(Reason::kTime, TimeOf(index));
  }
  for (std::uint64_t event = std::max(timeline_.Next(Reason::kEvents), batch.first_event);
       event < batch.first_event + count; event = timeline_.After(Reason::kEvents, event)) {
    const auto index = static_cast<std::uint32_t>(event - batch.first_event);
    cuts_.push_back({.index = index, .time = TimeOf(index), .reason = Reason::kEvents, .position = event});
  }
  std::stable_sort(cuts_.begin(), cuts_.end(), [](const Cut& a, const Cut& b) { return a.index < b.index; });
}

void EventPass::PlanTraffic(const read::EventBatch& batch) {
  bool saw_traffic = traffic_.saw_traffic();
  std::uint64_t next_request = timeline_.Next(Reason::kRequests);
  const auto quiet_until = [this](std::uint64_t time, std::uint32_t limit) {
    if (traffic_.quiet_due() > time) return;
    const std::uint32_t index = std::min(FirstAt(traffic_.quiet_due()), limit);
    cuts_.push_back(
        {.index = index, .time = traffic_.quiet_due(), .reason = Reason::kQuiet, .use = Cut::Use::kTraffic});
  };
  for (const read::SideRecord& record : batch.side_records) {
    if (record.operation != Operation::kSocket) continue;
    const bool request = record.socket_event == format::SocketEvent::kRequest;
    const std::uint64_t time = TimeOf(record.event);
    if ((request || record.socket_event == format::SocketEvent::kAccepted) && !saw_traffic) {
      saw_traffic = true;
      cuts_.push_back({.index = record.event, .time = time, .reason = Reason::kBoundary, .use = Cut::Use::kTraffic});
    }
    if (!request) continue;
    quiet_until(time, record.event);
    traffic_.SawRequest(time);
    ++planned_requests_;
    if (planned_requests_ >= next_request) {
      next_request = timeline_.After(Reason::kRequests, planned_requests_);
      cuts_.push_back(
          {.index = record.event + 1, .time = time, .reason = Reason::kRequests, .position = planned_requests_});
    }
  }
  quiet_until(batch.end_time, static_cast<std::uint32_t>(batch.operations.size()));
}

void EventPass::RunTo(const read::EventBatch& batch, std::uint32_t end) {
  std::size_t acquired = next_acquired_;
  std::size_t released = next_released_;
  for (std::uint32_t i = next_index_; i < end; ++i) {
    const std::uint64_t event = batch.first_event + i;
    switch (batch.operations[i]) {
      case Operation::kAllocate:
        counters_.Prefetch(acquired_[acquired + kPrefetchDistance]);
        counters_.Allocate(acquired_[acquired], batch.sizes[acquired], event);
        ++acquired;
        break;
      case Operation::kFree:
      case Operation::kOverlap:
        counters_.Prefetch(released_[released + kPrefetchDistance]);
        Release(batch.released[released], released_[released], batch.released_sizes[released]);
        ++released;
        break;
      case Operation::kReallocate:
        Release(batch.released[released], released_[released], batch.released_sizes[released]);
        ++released;
        counters_.Allocate(acquired_[acquired], batch.sizes[acquired], event);
        ++acquired;
        break;
      default:
        Side(batch.side_records[next_side_++], event);
        break;
    }
  }
  allocation_ = batch.first_allocation + acquired;
  next_index_ = std::max(next_index_, end);
  next_acquired_ = acquired;
  next_released_ = released;
}

inline void EventPass::Release(std::uint64_t allocation, OriginId origin, std::uint64_t bytes) {
  if (origin == kLostOrigin) return;
  counters_.Free(origin, bytes);
  if (exited_ && allocation < exit_allocation_) {
    teardown_.push_back({.birth = allocation, .bytes = bytes, .origin = origin});
  }
}

void EventPass::Side(const read::SideRecord& record, std::uint64_t event) {
  switch (record.operation) {
    case Operation::kMap:
    case Operation::kRemap: {
      Unmap(record.parts);
      const OriginId origin = origin_of_kind_[record.kind];
      if (origin == kLostOrigin || !model_.origins[origin].mapping) return;
      counters_.Map(origin, record.length);
      mappings_[record.mapping] = {.origin = origin,
                                   .address = record.address,
                                   .bytes = record.length,
                                   .event = event,
                                   .time = TimeOf(record.event),
                                   .protection = record.protection,
                                   .flags = record.flags,
                                   .anonymous = record.file_offset == format::MapWord::kAnonymous};
      return;
    }
    case Operation::kUnmap:
      return Unmap(record.parts);
    case Operation::kSocket:
      model_.saw_server = true;
      if (record.socket_event == format::SocketEvent::kRequest) ++requests_;
      return;
    default:
      return;
  }
}

void EventPass::Unmap(absl::Span<const read::MappingPart> parts) {
  for (const read::MappingPart& part : parts) {
    const auto found = mappings_.find(part.mapping);
    if (found == mappings_.end()) continue;
    LiveMapping& mapping = found->second;
    const std::uint64_t bytes = std::min(part.bytes, mapping.bytes);
    mapping.bytes -= bytes;
    const bool whole = mapping.bytes == 0;
    counters_.Unmap(mapping.origin, bytes, whole);
    if (exited_ && mapping.event < exit_event_ && whole) {
      mapping_teardown_.push_back({.birth = mapping.event, .bytes = bytes, .origin = mapping.origin});
    }
    if (whole) mappings_.erase(found);
  }
}

Checkpoint EventPass::State(std::uint64_t time, std::uint64_t event) const {
  const HeapTotals& heap = counters_.heap();
  const HeapTotals& mapped = counters_.mappings();
  Checkpoint state{.time = time,
                   .event = event,
                   .allocation = allocation_,
                   .requests = requests_,
                   .allocations = heap.allocations,
                   .frees = heap.allocations - heap.live_blocks,
                   .allocated_bytes = heap.allocated_bytes,
                   .freed_bytes = heap.allocated_bytes - heap.live_bytes,
                   .live_bytes = heap.live_bytes,
                   .live_blocks = heap.live_blocks,
                   .mapped_bytes = mapped.live_bytes,
                   .mappings = mapped.live_blocks};
  for (OriginId origin : js_heap_origins_) {
    const std::uint64_t bytes = counters_.counters()[origin].live_bytes;
    (model_.origins[origin].mapping ? state.mapped_js_heap_bytes : state.js_heap_bytes) += bytes;
  }
  return state;
}

void EventPass::Take(const Cut& cut, std::uint64_t event) {
  // Steps may have become longer since the cut was planned.
  if (cut.use == Cut::Use::kNone && cut.position < timeline_.Next(cut.reason)) return;
  const Checkpoint state = State(cut.time, event);
  timeline_.Add(cut.reason, state, counters_.TakeChanges());
  switch (cut.use) {
    case Cut::Use::kNone:
      return;
    case Cut::Use::kTraffic:
      return cut.reason == Reason::kQuiet ? traffic_.SawQuiet(state) : traffic_.SawTraffic(state);
    case Cut::Use::kMark:
      break;
  }
  const Mark& mark = pending_[cut.mark];
  if (IsPhaseMark(mark)) {
    begins_.push_back({.name = mark.text.empty() ? "unnamed" : mark.text, .detected = false, .state = state});
    return;
  }
  exited_ = true;
  exit_allocation_ = allocation_;
  exit_event_ = event;
  counters_.SaveExit();
  model_.exit = {.time = state.time, .event = event, .live_bytes = state.live_bytes, .live_blocks = state.live_blocks};
  begins_.push_back({.name = "exit", .detected = true, .state = state});
}

void EventPass::LocatePeak(const read::EventBatch& batch) {
  const std::uint64_t event = counters_.peak_event();
  if (counters_.peak_bytes() == model_.peak.live_bytes || event < batch.first_event) return;
  const auto index = static_cast<std::uint32_t>(event - batch.first_event);
  std::uint64_t later_requests = 0;
  for (const read::SideRecord& record : batch.side_records) {
    later_requests += record.event > index && record.operation == Operation::kSocket &&
                      record.socket_event == format::SocketEvent::kRequest;
  }
  model_.peak = {.live_bytes = counters_.peak_bytes(),
                 .live_blocks = counters_.peak_blocks(),
                 .time = TimeOf(index),
                 .event = event,
                 .requests = requests_ - later_requests};
}

void EventPass::OnLiveBlocks(absl::Span<const read::LiveBlock> blocks) {
  Close();
  for (const read::LiveBlock& block : blocks) {
    for (; next_teardown_ < teardown_.size() && teardown_[next_teardown_].birth < block.allocation; ++next_teardown_) {
      const Teardown& freed = teardown_[next_teardown_];
      survivors_->Add(freed.birth, freed.origin, freed.bytes);
    }
    const OriginId origin = origin_of_kind_[block.kind];
    if (origin != kLostOrigin) survivors_->Add(block.allocation, origin, block.size);
  }
}

// The last event was seen: what depends on the whole timeline can be made.
void EventPass::Close() {
  if (survivors_) return;
  const std::uint64_t end_time = std::max(model_.end.time, time_);
  runs_ = {};
  for (; next_pending_ < pending_.size(); ++next_pending_) {
    const std::uint64_t time = std::max(time_, pending_[next_pending_].time);
    Take({.time = time, .reason = Reason::kBoundary, .use = Cut::Use::kMark, .mark = next_pending_}, event_);
  }
  if (traffic_.quiet_due() <= end_time) {
    Take({.time = traffic_.quiet_due(), .reason = Reason::kQuiet, .use = Cut::Use::kTraffic}, event_);
  }
  const Checkpoint end = State(end_time, event_);
  timeline_.Add(Reason::kEnd, end, counters_.TakeChanges());
  model_.timeline = std::move(timeline_).Finish();

  const bool marked = std::any_of(begins_.begin(), begins_.end(), [](const PhaseBegin& b) { return !b.detected; });
  if (!marked) {
    for (PhaseBegin& begin : traffic_.Begins()) {
      const bool before_exit = !model_.exit || begin.state.event < model_.exit->event;
      if (before_exit) begins_.insert(begins_.end() - (model_.exit ? 1 : 0), std::move(begin));
    }
  }
  model_.run_phases = MakeRunPhases(begins_, end, model_.timeline);
  if (model_.exit) model_.exit->checkpoint = model_.timeline.At(model_.exit->event);
  const auto by_birth = [](const Teardown& a, const Teardown& b) { return a.birth < b.birth; };
  std::sort(teardown_.begin(), teardown_.end(), by_birth);
  survivors_.emplace(model_, SurvivorCounter::Clock::kAllocation);
}

void EventPass::Finish() {
  Close();
  for (; next_teardown_ < teardown_.size(); ++next_teardown_) {
    const Teardown& freed = teardown_[next_teardown_];
    survivors_->Add(freed.birth, freed.origin, freed.bytes);
  }
  model_.survivors = std::move(*survivors_).Finish();

  for (auto& [number, mapping] : mappings_) {
    model_.live_mappings.push_back(mapping);
    mapping_teardown_.push_back({.birth = mapping.event, .bytes = mapping.bytes, .origin = mapping.origin});
  }
  std::sort(model_.live_mappings.begin(), model_.live_mappings.end(),
            [](const LiveMapping& a, const LiveMapping& b) { return a.event < b.event; });
  std::sort(mapping_teardown_.begin(), mapping_teardown_.end(),
            [](const Teardown& a, const Teardown& b) { return a.birth < b.birth; });
  SurvivorCounter mapping_survivors(model_, SurvivorCounter::Clock::kEvent);
  for (const Teardown& mapping : mapping_teardown_) mapping_survivors.Add(mapping.birth, mapping.origin, mapping.bytes);
  const std::vector<Survivors> mapped = std::move(mapping_survivors).Finish();
  const auto order = [](const Survivors& a, const Survivors& b) {
    return std::tie(a.checkpoint, a.run_phase, a.origin) < std::tie(b.checkpoint, b.run_phase, b.origin);
  };
  const auto middle = static_cast<std::ptrdiff_t>(model_.survivors.size());
  model_.survivors.insert(model_.survivors.end(), mapped.begin(), mapped.end());
  std::inplace_merge(model_.survivors.begin(), model_.survivors.begin() + middle, model_.survivors.end(), order);

  const HeapTotals& heap = counters_.heap();
  model_.totals = counters_.Totals();
  model_.allocations = heap.allocations;
  model_.frees = heap.allocations - heap.live_blocks;
  model_.allocated_bytes = heap.allocated_bytes;
  model_.freed_bytes = heap.allocated_bytes - heap.live_bytes;
  model_.live_bytes = heap.live_bytes;
  model_.live_blocks = heap.live_blocks;
  model_.mapped_bytes = counters_.mappings().live_bytes;
  model_.mappings = counters_.mappings().live_blocks;
  model_.requests = requests_;
  model_.events = std::max(model_.events, event_);
  model_.duration = model_.timeline.checkpoints().back().time;
}

}  // namespace leaktrace::model
