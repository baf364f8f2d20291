#include "analyzer/model/load.h"

#include <algorithm>

#include "analyzer/model/event_pass.h"
#include "analyzer/model/overview_pass.h"
#include "analyzer/read/trace_reader.h"

namespace leaktrace::model {

absl::StatusOr<TraceModel> LoadTrace(const std::string& path, const LoadOptions& options) {
  TraceModel model;
  bool being_written = false;
  // Twice, if the recorder ended between the last chunk that was read and the question whether it is still at work.
  for (int attempt = 0; attempt < 2 && !model.complete && !being_written; ++attempt) {
    model = TraceModel{};
    model.path = path;
    OverviewPass overview(model);
    const absl::StatusOr<read::ReadSummary> summary =
        read::ReadTrace(path, overview, {.events = false, .progress = nullptr});
    if (!summary.ok()) return summary.status();
    being_written = summary->being_written;
  }

  EventPass events(model);
  absl::StatusOr<read::ReadSummary> summary =
      read::ReadTrace(path, events, {.events = true, .progress = options.progress});
  if (!summary.ok()) return summary.status();
  events.Finish();

  model.trace_bytes = summary->bytes;
  model.thread_count = std::max<std::uint64_t>(model.thread_count, model.threads.size());
  if (!model.complete) model.end.kind = being_written ? End::Kind::kRunning : End::Kind::kLost;
  Integrity& integrity = model.integrity;
  integrity.damaged_chunks = summary->damaged;
  integrity.unknown_chunks = summary->unknown_chunks;
  integrity.lost_events = summary->events_lost;
  for (const read::Damage& damage : summary->damage) integrity.damage.push_back(read::DescribeDamage(path, damage));
  return model;
}

}  // namespace leaktrace::model
