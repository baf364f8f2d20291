// Node under load, with every way that it has of starting threads and processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "absl/strings/str_cat.h"
#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

struct Load {
  const char* script;
  std::size_t traces;  // the first process, and its children that run JavaScript
};

void PrintTo(const Load& load, std::ostream* out) { *out << load.script; }

class Node : public testing::TestWithParam<std::tuple<const char*, Load>> {};

TEST_P(Node, AccountsForEveryEventUnderLoad) {
  const auto& [version, load] = GetParam();
  const TraceRun run = RunTraced({Runtime("node", version), Script(load.script)});
  ASSERT_EQ(run.process.exit_status, 0) << run.error;
  EXPECT_THAT(run.process.output, testing::HasSubstr("done"));
  EXPECT_EQ(run.error, "");
  ASSERT_EQ(run.traces.size(), load.traces);
  for (const Trace& trace : run.traces) {
    EXPECT_CLEAN(trace);
    EXPECT_EQ(trace.executable(), "node");
    EXPECT_EQ(trace.report["runtime"]["name"], "node");
    EXPECT_EQ(trace.report["runtime"]["version"], version);
    EXPECT_GT(trace.report["events"], 10000);
  }
}

INSTANTIATE_TEST_SUITE_P(Load, Node,
                         testing::Combine(testing::Values("20.20.2", "22.23.3", "24.21.0", "26.10.0"),
                                          testing::Values(Load{"server.cjs", 1}, Load{"workers.cjs", 1},
                                                          Load{"cluster.cjs", 3}, Load{"children.cjs", 3})),
                         [](const auto& instance) {
                           std::string name =
                               absl::StrCat("v", std::get<0>(instance.param), "_", std::get<1>(instance.param).script);
                           for (char& c : name) c = isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace leaktrace::e2e
