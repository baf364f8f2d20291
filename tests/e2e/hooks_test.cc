// Every hook: what its victim leaks is in the report with its bytes, its blocks and its call site, and nothing else is
// wrong.
#include <gtest/gtest.h>

#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

constexpr std::int64_t kPage = 4096;

void ExpectLive(const Trace& trace, const char* function, std::int64_t bytes, std::int64_t blocks) {
  const SiteTotal live = trace.Live(function);
  EXPECT_EQ(live.bytes, bytes) << function;
  EXPECT_EQ(live.blocks, blocks) << function;
}

class Blocks : public testing::TestWithParam<const char*> {};

TEST_P(Blocks, AreAttributedToTheirCallSites) {
  const TraceRun run = RunTraced({Victim(GetParam())});
  EXPECT_EQ(run.process.exit_status, 0) << run.process.output << run.error;
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  ExpectLive(trace, "LeakInMalloc", 3003, 3);
  ExpectLive(trace, "LeakInCalloc", 77, 1);
  ExpectLive(trace, "LeakInPlainRealloc", 1201, 1);
  ExpectLive(trace, "LeakInReallocOfNull", 1202, 1);
  ExpectLive(trace, "LeakInFailedRealloc", 1203, 1);
  ExpectLive(trace, "ReallocToNothing", 0, 0);
  ExpectLive(trace, "LeakInReallocarray", 221, 1);
  ExpectLive(trace, "LeakInMemalign", 1301, 1);
  ExpectLive(trace, "LeakInAlignedAlloc", 1408, 1);
  ExpectLive(trace, "LeakInPosixMemalign", 1501, 1);
  ExpectLive(trace, "LeakInValloc", 1601, 1);
  ExpectLive(trace, "FreeAll", 0, 0);
}

INSTANTIATE_TEST_SUITE_P(Libc, Blocks, testing::Values("blocks", "blocks-musl"));

// What musl does not have; and what it allocates itself, from code without frame pointers or unwind tables.
TEST(Blocks, OfGlibcAlone) {
  const TraceRun run = RunTraced({Victim("blocks")});
  ExpectLive(run.OnlyTrace(), "LeakInStrdup", 11, 1);
  ExpectLive(run.OnlyTrace(), "LeakInPvalloc", 1602, 1);
}

TEST(Operators, AreAttributedToTheirCallSites) {
  const TraceRun run = RunTraced({Victim("operators")});
  EXPECT_EQ(run.process.exit_status, 0) << run.process.output << run.error;
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  ExpectLive(trace, "LeakInSingleNew", 8004, 4);
  ExpectLive(trace, "LeakInArrayNew", 2002, 1);
  ExpectLive(trace, "LeakInSingleNothrow", 2003, 1);
  ExpectLive(trace, "LeakInArrayNothrow", 2004, 1);
  ExpectLive(trace, "LeakInSingleAligned", 2005, 1);
  ExpectLive(trace, "LeakInArrayAligned", 2006, 1);
  ExpectLive(trace, "LeakInAlignedSingleNothrow", 2007, 1);
  ExpectLive(trace, "LeakInAlignedArrayNothrow", 2008, 1);
  ExpectLive(trace, "DeleteAll", 0, 0);
  ExpectLive(trace, "ThrowOnFailure", 0, 0);
  ExpectLive(trace, "GiveReserve", 2201, 1);
  ExpectLive(trace, "LeakWhileHandling", 2201, 1);
  ExpectLive(trace, "LeakAfterThrow", 2301, 1);
}

class Mappings : public testing::TestWithParam<const char*> {};

TEST_P(Mappings, AreKeptApartAndFollowed) {
  const TraceRun run = RunTraced({Victim(GetParam())});
  EXPECT_EQ(run.process.exit_status, 0) << run.process.output << run.error;
  const Trace& trace = run.OnlyTrace();
  EXPECT_CLEAN(trace);
  EXPECT_EQ(trace.Mappings("MapWhole").bytes, 5 * kPage);
  EXPECT_EQ(trace.Mappings("MapPartly").bytes, 7 * kPage);
  EXPECT_EQ(trace.Mappings("MapAndUnmap").bytes, 0);
  EXPECT_EQ(trace.Mappings("MapUnder").bytes, 6 * kPage);
  EXPECT_EQ(trace.Mappings("MapAndMove").bytes, 20 * kPage);
  EXPECT_EQ(trace.Mappings("MapAndShrink").bytes, 2 * kPage);
  EXPECT_EQ(trace.Mappings("MapAndFail").bytes, 9 * kPage);
  EXPECT_EQ(trace.Mappings("MapAndAdvise").bytes, 11 * kPage);
  EXPECT_EQ(trace.Mappings("MapFile").bytes, 3 * kPage);
  EXPECT_EQ(trace.Live("MapWhole").bytes, 0);
}

INSTANTIATE_TEST_SUITE_P(Libc, Mappings, testing::Values("mappings", "mappings-musl"));

}  // namespace
}  // namespace leaktrace::e2e
