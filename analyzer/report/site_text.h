// One call site as text: its figures, and the lines of its stack that tell something.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "analyzer/base/terminal.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/report/names.h"
#include "analyzer/report/sites.h"

namespace leaktrace::report {

struct SiteTextOptions {
  Terminal terminal;
  std::size_t depth = 0;  // lines of the stack; 0 = those that tell something, at most kTellingLines
  Sort sort = Sort::kBytes;
  std::uint64_t total = 0;  // bytes that shares are of
};
inline constexpr std::size_t kTellingLines = 12;

// `rank` counts from 1. Ends with a line end.
[[nodiscard]] std::string SiteText(const model::TraceModel& model, const Names& names, const Site& site,
                                   std::size_t rank, const SiteTextOptions& options);

// The lines of a stack, each with a line end; the one that names the site is marked.
[[nodiscard]] std::string StackText(const Names& names, model::FrameId innermost, const SiteTextOptions& options);

}  // namespace leaktrace::report
