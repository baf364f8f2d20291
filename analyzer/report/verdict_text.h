// The verdict as the first lines of a text report.
#pragma once

#include <string>

#include "analyzer/base/terminal.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/report/judgement.h"
#include "analyzer/report/names.h"

namespace leaktrace::report {

// What grows, why, and what to do; then the suspects that matter, at most `suspects` of them (0 = all), with their
// stacks. Ends with an empty line.
[[nodiscard]] std::string VerdictText(const model::TraceModel& model, const Names& names, const Judgement& judgement,
                                      const Terminal& terminal, std::size_t suspects);

}  // namespace leaktrace::report
