// The product's stacks against libunwind's on released runtimes under load (compare_preload.cc), and their rows against
// libdw's.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/e2e/process.h"
#include "tests/e2e/trace_run.h"
#include "tests/unwind/libdw_rows.h"

namespace leaktrace {
namespace {

class NodeStacks : public testing::TestWithParam<const char*> {};

TEST_P(NodeStacks, AreThoseOfLibunwindAndReachTheirEnd) {
  const e2e::TempDirectory directory;
  const std::string result_path = directory.path() / "result";
  e2e::Process node({e2e::Runtime("node", GetParam()), LEAKTRACE_SOURCES "/tests/unwind/mixed_load.cjs", "100"},
                    {.environment = {{"LD_PRELOAD", LEAKTRACE_COMPARE_LIBRARY}, {"LEAKTRACE_COMPARE", result_path}}});
  const e2e::ProcessResult result = node.Finish();
  ASSERT_EQ(result.exit_status, 0);

  std::ifstream file(result_path);
  std::string summary;
  ASSERT_TRUE(std::getline(file, summary));
  std::uint64_t stacks = 0, equal = 0, ends = 0, frames = 0;
  ASSERT_EQ(std::sscanf(summary.c_str(), "stacks=%" SCNu64 " equal=%" SCNu64 " ends=%" SCNu64 " frames=%" SCNu64,
                        &stacks, &equal, &ends, &frames),
            4);
  std::stringstream examples;
  examples << file.rdbuf();
  EXPECT_GT(stacks, 50000u);
  EXPECT_GT(frames, stacks * 10);
  EXPECT_EQ(equal, stacks) << examples.str();
  // What is missing: V8's deoptimizer takes frames off the stack before it allocates.
  EXPECT_GE(static_cast<double>(ends), 0.999 * static_cast<double>(stacks)) << summary << "\n" << examples.str();
}

TEST_P(NodeStacks, HaveTheRowsOfLibdw) { CompareWithLibdw(e2e::Runtime("node", GetParam()), 100000); }

INSTANTIATE_TEST_SUITE_P(Node, NodeStacks, testing::Values("20.20.2", "22.23.3", "24.21.0", "26.10.0"),
                         [](const auto& version) { return std::string("V").append(version.param, 2); });

}  // namespace
}  // namespace leaktrace
