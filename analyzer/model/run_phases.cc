#include "analyzer/model/run_phases.h"

namespace leaktrace::model {
namespace {

// A phase at the end of the trace that was detected, had no event and did not last as long is left out.
constexpr std::uint64_t kShort = 1'000'000'000;  // ns

RunPhase Span(const PhaseBegin& begin, const Checkpoint& end, const Timeline& timeline) {
  const Checkpoint& start = begin.state;
  return {.name = begin.name,
          .detected = begin.detected,
          .start = start.time,
          .end = end.time,
          .first_event = start.event,
          .end_event = end.event,
          .first_allocation = start.allocation,
          .end_allocation = end.allocation,
          .requests = end.requests - start.requests,
          .allocations = end.allocations - start.allocations,
          .frees = end.frees - start.frees,
          .allocated_bytes = end.allocated_bytes - start.allocated_bytes,
          .freed_bytes = end.freed_bytes - start.freed_bytes,
          .live_bytes = end.live_bytes,
          .live_blocks = end.live_blocks,
          .start_checkpoint = timeline.At(start.event),
          .end_checkpoint = timeline.At(end.event)};
}

}  // namespace

void TrafficPhases::SawTraffic(const Checkpoint& state) {
  if (!traffic_) traffic_ = state;
}

std::vector<PhaseBegin> TrafficPhases::Begins() const {
  std::vector<PhaseBegin> begins;
  if (traffic_) begins.push_back({.name = "load", .detected = true, .state = *traffic_});
  if (traffic_ && quiet_) begins.push_back({.name = "settle", .detected = true, .state = *quiet_});
  return begins;
}

std::vector<RunPhase> MakeRunPhases(const std::vector<PhaseBegin>& begins, const Checkpoint& end,
                                    const Timeline& timeline) {
  std::vector<PhaseBegin> spans;
  const bool only_exit = begins.empty() || (begins.size() == 1 && begins[0].name == "exit");
  spans.push_back({.name = only_exit ? "run" : "startup", .detected = true, .state = {}});
  for (const PhaseBegin& begin : begins) {
    if (begin.name == spans.back().name) continue;  // the same phase goes on
    const Checkpoint& last = spans.back().state;
    if (begin.state.event == last.event && begin.state.time == last.time) spans.pop_back();
    spans.push_back(begin);
  }
  std::vector<RunPhase> phases;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const bool last = i + 1 == spans.size();
    const bool nothing = spans[i].state.event >= end.event && end.time - spans[i].state.time < kShort;
    if (last && !phases.empty() && nothing && spans[i].detected) {
      phases.back().end = end.time;
      break;
    }
    phases.push_back(Span(spans[i], last ? end : spans[i + 1].state, timeline));
  }
  return phases;
}

}  // namespace leaktrace::model
