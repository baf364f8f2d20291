// The verdict of a trace, with the sites of its suspects: what reports, `check` and `diff` are made from.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzer/leak/verdict.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/report/history.h"
#include "analyzer/report/names.h"
#include "analyzer/report/sites.h"

namespace leaktrace::report {

struct NamedSuspect {
  leak::Suspect suspect;
  Site site;  // all its stacks together, named by the largest; live and allocated as in every list of sites
};

struct Judgement {
  leak::Verdict verdict;
  std::vector<NamedSuspect> suspects;  // leaks first, by their growth
  OriginGrowth survived;               // heap blocks of the load that live after it
};

// Resolves the names of the stacks under which something outlived the load. Error: one line that says what to do, for a
// phase in `options` that the trace has not.
[[nodiscard]] absl::StatusOr<Judgement> Judge(const model::TraceModel& model, Names& names,
                                              const leak::AnalysisOptions& options);

}  // namespace leaktrace::report
