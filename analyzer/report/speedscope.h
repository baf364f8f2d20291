// speedscope's file format (https://www.speedscope.app/file-format-schema.json,
// https://github.com/jlfwong/speedscope/wiki).
#pragma once

#include <string>

#include "analyzer/report/profile.h"

namespace leaktrace::report {

// A file with a sampled profile for each metric, of which `metric` is the one that is shown first. The weights of a
// profile add up to profile.Total of its metric.
[[nodiscard]] std::string Speedscope(const Profile& profile, Metric metric);

}  // namespace leaktrace::report
