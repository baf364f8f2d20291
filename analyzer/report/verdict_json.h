// The verdict and its suspects as JSON: the keys are an interface, documented in README.md.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>

#include "analyzer/model/trace_model.h"
#include "analyzer/report/judgement.h"
#include "analyzer/report/names.h"

namespace leaktrace::report {

// Figures per request are per iteration where the user gave these, and null where neither is known; then those per
// second are given.
[[nodiscard]] nlohmann::ordered_json VerdictJson(const Judgement& judgement);

// At most `top` suspects (0 = all), each with at most `depth` frames (0 = all).
[[nodiscard]] nlohmann::ordered_json SuspectsJson(const model::TraceModel& model, const Names& names,
                                                  const Judgement& judgement, std::size_t top, std::size_t depth);

}  // namespace leaktrace::report
