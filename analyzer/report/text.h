// The report as text, for a person at a terminal or in a log.
#pragma once

#include <cstddef>
#include <string>

#include "analyzer/base/terminal.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/report/judgement.h"
#include "analyzer/report/names.h"
#include "analyzer/report/sites.h"

namespace leaktrace::report {

struct TextOptions {
  Terminal terminal;
  std::size_t top = 10;   // sites; 0 = all
  std::size_t depth = 0;  // lines of each stack; 0 = the ones that tell something
  SiteOptions sites;      // `mappings` is not looked at
};

[[nodiscard]] std::string MakeText(const model::TraceModel& model, Names& names, const Judgement& judgement,
                                   const TextOptions& options);

}  // namespace leaktrace::report
