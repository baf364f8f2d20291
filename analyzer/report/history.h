// The histories that the verdict is computed from, taken from a trace's model.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/leak/history.h"
#include "analyzer/leak/window.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/report/names.h"

namespace leaktrace::report {

// The sites of a trace, one for each stack and kind of memory. SiteHistory::site is the index into it.
struct SiteOrigins {
  model::FrameId stack = 0;
  leak::Memory memory = leak::Memory::kHeap;
  bool js_heap = false;
  std::vector<model::OriginId> origins;
};

struct Histories {
  leak::ProcessHistory process;
  std::vector<SiteOrigins> sites;
  std::vector<leak::SiteHistory> histories;  // of the sites
};

// Whether the memory of an origin is the JavaScript heap itself: the recorder said so, or it is of JavaScriptCore's
// block size and alignment.
[[nodiscard]] bool IsJsHeap(const model::TraceModel& model, model::OriginId origin);

// The process alone, with what is JavaScript heap among the live blocks. Enough to choose the window.
[[nodiscard]] leak::ProcessHistory MakeProcessHistory(const model::TraceModel& model);

// What an origin allocated during the load and what of it lives after it: exact counts, without judgement.
struct OriginGrowth {
  std::uint64_t bytes = 0, blocks = 0;
};
// By OriginId.
[[nodiscard]] std::vector<OriginGrowth> GrowthByOrigin(const model::TraceModel& model, const leak::Window& window);

// Linear in the model. Resolves the names of all stacks that map memory.
[[nodiscard]] Histories MakeHistories(const model::TraceModel& model, Names& names);

}  // namespace leaktrace::report
