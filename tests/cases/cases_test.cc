// Known leaks of released runtimes: the first call site by live bytes is the culprit, its blocks per iteration are
// right, and the release that fixed it shows nothing comparable.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

struct Case {
  const char* script;
  const char* runtime;
  const char* leaky;
  const char* fixed;
  const char* culprit;  // a function in the stack of every block that leaks
  double blocks_per_iteration;
  double tolerance;  // of the blocks per iteration, relative
};

const Case kCases[] = {
    {"node-x509-legacy", "node", "24.11.1", "24.12.0", "ncrypto::X509Name::Iterator::operator*", 12, 0.01},
    // deflateInit2_ (deps/zlib/deflate.c) allocates the state, its window, the two hash tables and the pending buffer.
    {"node-zlib-unused", "node", "10.6.0", "10.7.0", "deflateInit2_", 5, 0.01},
};

void PrintTo(const Case& leak, std::ostream* out) { *out << leak.script; }

struct CaseRun {
  TraceRun run;
  std::int64_t iterations = 0;
};

CaseRun RunCase(const Case& leak, const char* version) {
  std::vector<std::string> argv = {Runtime(leak.runtime, version)};
  if (std::string(leak.runtime) == "node") argv.push_back("--expose-gc");
  argv.push_back(std::string(LEAKTRACE_SOURCES) + "/tests/cases/" + leak.script + ".cjs");
  CaseRun result{RunTraced(argv)};
  EXPECT_EQ(result.run.process.exit_status, 0) << result.run.error;
  const auto counts = nlohmann::json::parse(result.run.process.output, nullptr, /*allow_exceptions=*/false);
  if (counts.is_object()) {
    result.iterations = counts.value("warmup", std::int64_t{0}) + counts.value("load", std::int64_t{0});
  }
  EXPECT_GT(result.iterations, 0) << result.run.process.output;
  return result;
}

double CulpritBlocksPerIteration(const Case& leak, const CaseRun& run) {
  return static_cast<double>(run.run.OnlyTrace().Live(leak.culprit).blocks) / static_cast<double>(run.iterations);
}

class KnownLeak : public testing::TestWithParam<Case> {};

TEST_P(KnownLeak, CulpritIsTheFirstSite) {
  const Case& leak = GetParam();
  const CaseRun result = RunCase(leak, leak.leaky);
  const Trace& trace = result.run.OnlyTrace();
  EXPECT_CLEAN(trace);

  const auto sites = trace.report.value(nlohmann::json::json_pointer("/live/sites"), nlohmann::json::array());
  ASSERT_FALSE(sites.empty());
  EXPECT_THAT(sites[0]["stack"].dump(), testing::HasSubstr(leak.culprit)) << sites[0].dump(2);
  EXPECT_NEAR(CulpritBlocksPerIteration(leak, result), leak.blocks_per_iteration,
              leak.blocks_per_iteration * leak.tolerance);
}

TEST_P(KnownLeak, FixedReleaseShowsNothingComparable) {
  const Case& leak = GetParam();
  const CaseRun result = RunCase(leak, leak.fixed);
  const Trace& trace = result.run.OnlyTrace();
  EXPECT_CLEAN(trace);
  EXPECT_LT(CulpritBlocksPerIteration(leak, result), leak.blocks_per_iteration / 20);
}

INSTANTIATE_TEST_SUITE_P(Case, KnownLeak, testing::ValuesIn(kCases), [](const auto& instance) {
  std::string name = instance.param.script;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace leaktrace::e2e
