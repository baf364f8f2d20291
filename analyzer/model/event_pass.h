// The pass over the events of a trace: totals per origin, checkpoints, run phases, the peak, mappings, survivors. For
// one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/model/counters.h"
#include "analyzer/model/run_phases.h"
#include "analyzer/model/survivors.h"
#include "analyzer/model/timeline_builder.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/read/trace_reader.h"

namespace leaktrace::model {

class EventPass final : public read::TraceVisitor {
 public:
  // `model` holds what the pass over everything but the events found (marks, duration and number of events as far as
  // they are known); this pass fills the rest of it. It outlives this object.
  explicit EventPass(TraceModel& model);

  void OnFrames(const read::FrameBatch& batch) override;
  void OnKinds(const read::KindBatch& batch) override;
  void OnEvents(const read::EventBatch& batch) override;
  void OnLiveBlocks(absl::Span<const read::LiveBlock> blocks) override;

  // After the trace was read.
  void Finish();

 private:
  using Reason = TimelineBuilder::Reason;

  // A place between two events of a batch at which the state is wanted.
  struct Cut {
    std::uint32_t index = 0;  // before this event of the batch
    std::uint64_t time = 0;
    Reason reason{};
    std::uint64_t position = 0;  // by the measure of the reason
    enum class Use : std::uint8_t { kNone, kMark, kTraffic } use = Use::kNone;
    std::size_t mark = 0;  // index into pending_
  };

  // A block that was freed after the target began to exit.
  struct Teardown {
    std::uint64_t birth = 0;  // allocation number; of mappings: event
    std::uint64_t bytes = 0;
    OriginId origin = 0;
  };

  OriginId FindOrigin(FrameId stack, const trace::KindAttributes& attributes, std::uint32_t route);
  void ResolveOrigins(const read::EventBatch& batch);
  void IndexTimes(const read::EventBatch& batch);
  [[nodiscard]] std::uint64_t TimeOf(std::uint32_t index) const;
  [[nodiscard]] std::uint32_t FirstAt(std::uint64_t time) const;
  void PlanCuts(const read::EventBatch& batch);
  void PlanTraffic(const read::EventBatch& batch);
  void RunTo(const read::EventBatch& batch, std::uint32_t end);
  void Release(std::uint64_t allocation, OriginId origin, std::uint64_t bytes);
  void Side(const read::SideRecord& record, std::uint64_t event);
  void Unmap(absl::Span<const read::MappingPart> parts);
  [[nodiscard]] Checkpoint State(std::uint64_t time, std::uint64_t event) const;
  void Take(const Cut& cut, std::uint64_t event);
  void LocatePeak(const read::EventBatch& batch);
  void Close();

  TraceModel& model_;
  Counters counters_;
  TimelineBuilder timeline_;
  TrafficPhases traffic_;
  absl::flat_hash_map<std::tuple<FrameId, std::uint32_t, std::uint32_t>, OriginId>
      origin_ids_;  // stack, attributes, route
  std::vector<OriginId> origin_of_kind_;
  std::vector<OriginId> js_heap_origins_;

  std::vector<Mark> pending_;  // marks that the state is wanted at, by event
  std::size_t next_pending_ = 0;
  std::vector<PhaseBegin> begins_;

  // Of the batch at hand.
  std::vector<OriginId> acquired_, released_;
  std::vector<std::uint32_t> run_starts_;  // index of the first event of each time run
  absl::Span<const read::TimeRun> runs_;
  std::vector<Cut> cuts_;
  std::uint32_t next_index_ = 0;
  std::size_t next_acquired_ = 0, next_released_ = 0, next_side_ = 0;

  std::uint64_t event_ = 0;       // number of the next event
  std::uint64_t allocation_ = 0;  // number of the next allocation
  std::uint64_t time_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t planned_requests_ = 0;
  absl::flat_hash_map<std::uint64_t, LiveMapping> mappings_;
  bool exited_ = false;
  std::uint64_t exit_allocation_ = 0, exit_event_ = 0;
  std::vector<Teardown> teardown_, mapping_teardown_;
  std::optional<SurvivorCounter> survivors_;
  std::size_t next_teardown_ = 0;
};

}  // namespace leaktrace::model
