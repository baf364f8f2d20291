// The agent as users get it: `leaktrace run` loads it, and the program marks its phases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

struct RuntimeVersion {
  const char* kind;
  const char* version;
};
void PrintTo(const RuntimeVersion& runtime, std::ostream* out) { *out << runtime.kind << " " << runtime.version; }

class Agent : public testing::TestWithParam<RuntimeVersion> {};

TEST_P(Agent, IsLoadedByRunAndMarksPhases) {
  const TempDirectory directory;
  const std::string trace = (directory.path() / "agent.ltrace").string();
  const CommandResult run = RunLeaktrace({"run", "-q", "-o", trace, "--", Runtime(GetParam().kind, GetParam().version),
                                          LEAKTRACE_SOURCES "/tests/agent/phases.cjs"},
                                         directory.path());
  ASSERT_EQ(run.process.exit_status, 0) << run.process.output << run.error;
  EXPECT_EQ(run.process.output, "200\n");
  const CommandResult reported = RunLeaktrace({"report", trace, "--json"});
  const auto report = nlohmann::json::parse(reported.process.output, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(report.is_object()) << reported.process.output << reported.error;
  std::vector<std::string> phases;
  for (const auto& phase : report["phases"]) phases.push_back(phase["name"]);
  EXPECT_THAT(phases, testing::IsSupersetOf({"warmup", "load", "settle"}));
}

INSTANTIATE_TEST_SUITE_P(Runtimes, Agent,
                         testing::Values(RuntimeVersion{"node", "20.20.2"}, RuntimeVersion{"node", "24.21.0"},
                                         RuntimeVersion{"bun", "1.2.13"}, RuntimeVersion{"bun", "1.3.14"},
                                         RuntimeVersion{"bun", "1.4.4"}));

}  // namespace
}  // namespace leaktrace::e2e
