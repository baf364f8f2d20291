// The trace that the tests of reports look at: a server whose handler leaks 12 blocks of 338 bytes per request.
#pragma once

#include <memory>
#include <string>

#include "analyzer/model/trace_model.h"
#include "analyzer/report/names.h"

namespace leaktrace::report {

inline constexpr int kSampleRequests = 10'000;

// Writes it and returns its path, in the folder for temporary files of tests.
std::string WriteSampleTrace(const std::string& name);

struct Sample {
  std::unique_ptr<model::TraceModel> model;
  std::unique_ptr<Names> names;
};
Sample LoadSample(const std::string& path);

}  // namespace leaktrace::report
