// The report as JSON, for programs: the keys are an interface, documented in README.md. Facts that are not known are
// null.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>

#include "absl/types/span.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/report/judgement.h"
#include "analyzer/report/names.h"
#include "analyzer/report/sites.h"

namespace leaktrace::report {

struct JsonOptions {
  std::size_t top = 50;   // sites of each list; 0 = all
  std::size_t depth = 0;  // frames of each stack; 0 = all
  SiteOptions sites;      // `mappings` is not looked at
};

// Strings that are not UTF-8 have their wrong bytes replaced when they are written: use DumpJson.
[[nodiscard]] nlohmann::ordered_json MakeJson(const model::TraceModel& model, Names& names, const Judgement& judgement,
                                              const JsonOptions& options);
[[nodiscard]] nlohmann::ordered_json SiteJson(const model::TraceModel& model, const Names& names, const Site& site,
                                              std::size_t depth);
[[nodiscard]] nlohmann::ordered_json FrameJson(const StackLine& line);

// On one line where `indent` is negative. Never fails.
[[nodiscard]] std::string DumpJson(const nlohmann::ordered_json& json, int indent);

}  // namespace leaktrace::report
