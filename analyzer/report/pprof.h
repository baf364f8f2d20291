// pprof's profile format: a gzip-compressed protocol buffer (profile.proto beside this file).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "analyzer/report/profile.h"

namespace leaktrace::report {

// A profile with a sample type for each metric, of which `metric` is the default. The values of a type add up to
// profile.Total of its metric. Error: the profile is larger than a protocol buffer may be (2 GiB).
[[nodiscard]] absl::StatusOr<std::string> Pprof(const Profile& profile, Metric metric);

}  // namespace leaktrace::report
