// Blocks that one thread allocates and another frees are matched, whatever the threads do.
#include <gtest/gtest.h>

#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

class Exchange : public testing::TestWithParam<const char*> {};

TEST_P(Exchange, SixteenThreadsFreeEachOthersBlocks) {
  const TraceRun run = RunTraced({Victim(GetParam()), "16", "50000"});
  ASSERT_EQ(run.process.exit_status, 0);
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  const SiteTotal leaked = trace.Live("LeakPerThread");
  EXPECT_EQ(leaked.blocks, 160);
  EXPECT_EQ(leaked.bytes, 160 * 77);
  EXPECT_EQ(trace.Live("AllocateAnyhow").blocks, 0);
  EXPECT_EQ(trace.report["integrity"]["truncated_stacks"], 0);
  EXPECT_GE(trace.report["threads"], 17);
}

INSTANTIATE_TEST_SUITE_P(Libc, Exchange, testing::Values("exchange", "exchange-musl"));

TEST(Exchange, MoreThreadsThanCoresWithSmallRings) {
  // Full rings: threads wait for the recorder, and nothing is lost.
  const TraceRun run =
      RunTraced({Victim("exchange"), "64", "5000"}, {.environment = {{"LEAKTRACE_RING", "64K"}}});
  ASSERT_EQ(run.process.exit_status, 0) << run.error;
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  EXPECT_EQ(trace.Live("LeakPerThread").blocks, 640);
}

}  // namespace
}  // namespace leaktrace::e2e
