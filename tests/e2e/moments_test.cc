// Awkward moments: nothing is lost, nothing is unknown, and the program does what it does without the library.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

TraceRun RunMoment(const char* moment) { return RunTraced({Victim("moments"), moment}); }

void ExpectLive(const Trace& trace, const char* function, std::int64_t bytes, std::int64_t blocks) {
  const SiteTotal live = trace.Live(function);
  EXPECT_EQ(live.bytes, bytes) << function;
  EXPECT_EQ(live.blocks, blocks) << function;
}

TEST(Moments, BeforeMain) {
  const TraceRun run = RunMoment("constructor");
  EXPECT_EQ(run.process.exit_status, 0);
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  ExpectLive(trace, "LeakInConstructor", 3001, 1);
}

// 4 times: as often as libc calls a destructor of thread-specific data that sets its value again.
TEST(Moments, DestructorsOfThreads) {
  const TraceRun run = RunMoment("thread-end");
  EXPECT_EQ(run.process.exit_status, 0);
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  ExpectLive(trace, "LeakInThreadLocalDestructor", 5 * 3102, 5);
  ExpectLive(trace, "LeakInKeyDestructor", 5 * 4 * 3103, 5 * 4);
}

TEST(Moments, FirstEventOfAThreadInItsLastDestructor) {
  const TraceRun run = RunMoment("thread-end-first-event");
  EXPECT_EQ(run.process.exit_status, 0);
  EXPECT_CLEAN(run.OnlyTrace());
  ExpectLive(run.OnlyTrace(), "LeakInKeyDestructor", 4 * 3103, 4);
}

TEST(Moments, FirstEventOfAThreadUnderItsOwnLock) {
  const TraceRun run = RunMoment("thread-attributes");
  EXPECT_EQ(run.process.exit_status, 0);
  EXPECT_CLEAN(run.OnlyTrace());
  ExpectLive(run.OnlyTrace(), "AskForAttributes", 3105, 1);
}

TEST(Moments, MoreThreadsThanRings) {
  const TraceRun run = RunMoment("many-threads");
  EXPECT_EQ(run.process.exit_status, 0);
  EXPECT_CLEAN(run.OnlyTrace());
  ExpectLive(run.OnlyTrace(), "LeakInShortThread", 5000 * 3104, 5000);
}

TEST(Moments, SignalHandlerInterruptsTheHooks) {
  const TraceRun run = RunMoment("signal-handler");
  EXPECT_EQ(run.process.exit_status, 0);
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  EXPECT_EQ(trace.Mappings("MapInHandler").bytes, 3 * 4096);
  EXPECT_EQ(trace.Mappings("MapOnSignal").bytes, 3 * 4096);
}

TEST(Moments, SignalStack) {
  const TraceRun run = RunMoment("raised-signal");
  EXPECT_EQ(run.process.exit_status, 0);
  EXPECT_CLEAN(run.OnlyTrace());
  ExpectLive(run.OnlyTrace(), "LeakInHandler", 7 * 3203, 7);
}

TEST(Moments, VforkChildRunsInItsParentsMemory) {
  const TraceRun run = RunMoment("vfork");
  EXPECT_EQ(run.process.exit_status, 6) << run.error;
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  ExpectLive(trace, "LeakInVforkChild", 10 * 3302, 10);
  ExpectLive(trace, "LeakAfterChild", 3301, 1);
  EXPECT_EQ(trace.report["end"]["status"], 6);
}

// A child that executes something, or just leaves, gets no session: its parent's trace is the only one.
class QuickChild : public testing::TestWithParam<const char*> {};
TEST_P(QuickChild, LeavesTheParentsTraceAlone) {
  const TraceRun run = RunMoment(GetParam());
  EXPECT_EQ(run.process.exit_status, 6) << run.error;
  EXPECT_EQ(run.error, "");
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  ExpectLive(trace, "LeakAfterChild", 3301, 1);
  EXPECT_EQ(trace.report["end"]["kind"], "exit");
  EXPECT_EQ(trace.report["end"]["status"], 6);
}
INSTANTIATE_TEST_SUITE_P(Moments, QuickChild, testing::Values("fork-exec", "fork-leave", "spawn", "failed-exec"));

const Trace* Find(const TraceRun& run, const char* function) {
  for (const Trace& trace : run.traces) {
    if (trace.Live(function).blocks != 0) return &trace;
  }
  return nullptr;
}

TEST(Moments, ForkedChildrenThatGoOnHaveTracesOfTheirOwn) {
  const TraceRun run = RunMoment("fork-go-on");
  EXPECT_EQ(run.process.exit_status, 6) << run.error;
  ASSERT_EQ(run.traces.size(), 3u);
  for (const char* function : {"LeakAfterChild", "LeakInThreadOfChild", "LeakInGrandchild"}) {
    const Trace* trace = Find(run, function);
    ASSERT_NE(trace, nullptr) << function;
    EXPECT_CLEAN(*trace);
  }
  ExpectLive(*Find(run, "LeakInThreadOfChild"), "LeakInThreadOfChild", 3305, 1);
  ExpectLive(*Find(run, "LeakInGrandchild"), "LeakInGrandchild", 3306, 1);
}

TEST(Moments, ForkPastLibc) {
  const TraceRun run = RunMoment("raw-fork");
  EXPECT_EQ(run.process.exit_status, 6) << run.error;
  ASSERT_EQ(run.traces.size(), 2u);
  ASSERT_NE(Find(run, "LeakInGrandchild"), nullptr);
  ASSERT_NE(Find(run, "LeakAfterChild"), nullptr);
  EXPECT_CLEAN(*Find(run, "LeakAfterChild"));
}

TEST(Moments, ExecEndsTheTrace) {
  const TraceRun run = RunMoment("exec");
  EXPECT_EQ(run.process.exit_status, 12) << run.error;
  EXPECT_CLEAN(run.OnlyTrace());
  ExpectLive(run.OnlyTrace(), "LeakAfterChild", 3301, 1);
}

// When process 1 is gone, the kernel kills the recorder: so the library waits for it.
TEST(Moments, ProcessOne) {
  const TraceRun run = RunTraced({"unshare", "--pid", "--fork", "--mount-proc", Victim("work"), "10"});
  if (run.traces.empty() && run.error.find("unshare:") != std::string::npos) GTEST_SKIP() << run.error;
  EXPECT_EQ(run.process.exit_status, 7) << run.error;
  const Trace& trace = run.OnlyTrace();
  EXPECT_EQ(trace.pid(), 1);
  EXPECT_CLEAN(trace);
  EXPECT_EQ(trace.report["end"]["kind"], "exit");
  EXPECT_EQ(trace.Live("LeakHalf").blocks, 2);
}

struct ExitCase {
  const char* moment;
  int status;
  const char* function;
  std::int64_t bytes;
};

class Exits : public testing::TestWithParam<ExitCase> {};
TEST_P(Exits, AreNoticedAndWhatFollowsIsRecorded) {
  const ExitCase& exit = GetParam();
  const TraceRun run = RunMoment(exit.moment);
  EXPECT_EQ(run.process.exit_status, exit.status);
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  ExpectLive(trace, exit.function, exit.bytes, 1);
  EXPECT_EQ(trace.report["end"]["kind"], "exit");
  EXPECT_EQ(trace.report["end"]["status"], exit.status);
}
INSTANTIATE_TEST_SUITE_P(
    Moments, Exits,
    testing::Values(ExitCase{"return", 21, "LeakAtExit", 3401}, ExitCase{"return", 21, "LeakInDestructor", 3402},
                    ExitCase{"exit", 22, "LeakAtExit", 3401}, ExitCase{"exit", 22, "LeakInDestructor", 3402},
                    ExitCase{"quick-exit", 23, "LeakAtExit", 3401}, ExitCase{"exit-now", 24, "LeakAfterChild", 3301},
                    ExitCase{"exit-c99", 25, "LeakAfterChild", 3301},
                    ExitCase{"exit-group", 26, "LeakAfterChild", 3301},
                    ExitCase{"thread-exit", 27, "LeakAfterChild", 3301}));

TEST(Moments, Abort) {
  const TraceRun run = RunMoment("abort");
  EXPECT_EQ(run.process.signal, SIGABRT);
  EXPECT_CLEAN(run.OnlyTrace());
  ExpectLive(run.OnlyTrace(), "LeakAfterChild", 3301, 1);
}

TEST(Moments, ModulesThatComeAndGo) {
  const TraceRun run = RunTraced({Victim("moments"), "plugin", Victim("plugin.so")});
  EXPECT_EQ(run.process.exit_status, 6) << run.process.output;
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  ExpectLive(trace, "LeakAsPluginLoads", 3501, 1);
  ExpectLive(trace, "LeakInPlugin", 3 * 3502, 3);
  ExpectLive(trace, "LeakAfterChild", 3301, 1);
}

}  // namespace
}  // namespace leaktrace::e2e
