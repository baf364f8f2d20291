// Which processes get a trace of their own, and what is in it.
#include <gtest/gtest.h>

#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

class Fork : public testing::TestWithParam<const char*> {};

TEST_P(Fork, ParentAndChildHaveATraceEach) {
  const TraceRun run = RunTraced({Victim(GetParam()), "fork"});
  EXPECT_EQ(run.process.exit_status, 5);
  ASSERT_EQ(run.traces.size(), 2u) << run.error;
  const Trace* parent = &run.traces[0];
  const Trace* child = &run.traces[1];
  if (parent->Live("LeakInChild").blocks != 0) std::swap(parent, child);

  EXPECT_CLEAN(*parent);
  EXPECT_EQ(parent->Live("LeakInParent").blocks, 3);
  EXPECT_EQ(parent->Live("LeakInParent").bytes, 909);
  EXPECT_EQ(parent->Live("LeakInChild").blocks, 0);

  EXPECT_EQ(child->Live("LeakInChild").blocks, 5);
  EXPECT_EQ(child->Live("LeakInChild").bytes, 2525);
}

INSTANTIATE_TEST_SUITE_P(Libc, Fork, testing::Values("family", "family-musl"));

TEST(Fork, ChildrenCanBeLeftOut) {
  const TraceRun run = RunTraced({Victim("family"), "fork"}, {.environment = {{"LEAKTRACE_CHILDREN", "0"}}});
  EXPECT_EQ(run.process.exit_status, 5);
  EXPECT_EQ(run.OnlyTrace().Live("LeakInParent").blocks, 3);
}

TEST(Exec, OtherProgramsAreLeftAlone) {
  const TraceRun run = RunTraced({Victim("family"), "exec", Victim("work"), "10"});
  EXPECT_EQ(run.process.exit_status, 7);
  EXPECT_TRUE(run.TracesOf("work").empty());
  EXPECT_FALSE(run.TracesOf("family").empty());
}

TEST(Exec, TheSameProgramIsTraced) {
  const TraceRun run = RunTraced({Victim("family"), "become", Victim("family"), "fork"});
  EXPECT_EQ(run.process.exit_status, 5);
  EXPECT_GE(run.traces.size(), 2u);
}

TEST(Exec, NamedProgramsAreTraced) {
  const TraceRun run = RunTraced({Victim("family"), "exec", Victim("work"), "10"},
                                 {.environment = {{"LEAKTRACE_EXECUTABLES", "family,work"}}});
  EXPECT_EQ(run.process.exit_status, 7);
  const auto traces = run.TracesOf("work");
  ASSERT_EQ(traces.size(), 1u);
  EXPECT_EQ(traces[0]->Live("LeakHalf").blocks, 2);
}

TEST(Shell, IsLeftAlone) {
  const TraceRun run = RunTraced({Victim("family"), "shell", "exec sh -c 'ls / | cat >/dev/null; exit 9'"});
  EXPECT_EQ(run.process.exit_status, 9);
  EXPECT_EQ(run.OnlyTrace().executable(), "family");
}

}  // namespace
}  // namespace leaktrace::e2e
