#include "analyzer/model/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/model/synthetic_trace.h"

namespace leaktrace::model {
namespace {

using ::leaktrace::testing::SyntheticTrace;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::uint64_t kSecond = SyntheticTrace::kSecond;
constexpr std::uint64_t kMillisecond = SyntheticTrace::kMillisecond;

std::string TracePath() {
  return ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".ltrace";
}

TraceModel Load(const std::string& path) {
  absl::StatusOr<TraceModel> model = LoadTrace(path);
  EXPECT_TRUE(model.ok()) << model.status().message();
  return model.ok() ? *std::move(model) : TraceModel{};
}

const OriginTotals& TotalsOf(const TraceModel& model, FrameId stack) {
  for (std::size_t i = 1; i < model.origins.size(); ++i) {
    if (model.origins[i].stack == stack) return model.totals[i];
  }
  ADD_FAILURE() << "no origin has stack " << stack;
  static const OriginTotals kNone;
  return kNone;
}

TEST(LoadTest, CountsPerOrigin) {
  SyntheticTrace trace(TracePath());
  const FrameId kept = trace.Stack({0x10, 0x20});
  const FrameId freed = trace.Stack({0x10, 0x30});
  const std::uint32_t small = trace.Kind(kept, 24);
  const std::uint32_t large = trace.Kind(kept, 1000);  // another size, the same origin
  const std::uint32_t passing = trace.Kind(freed, 64);
  for (int i = 0; i < 10; ++i) {
    trace.Allocate(small);
    trace.Free(trace.Allocate(passing));
  }
  trace.Reallocate(trace.Allocate(small), large);
  trace.Finish();

  const TraceModel model = Load(trace.path());
  EXPECT_EQ(model.origins.size(), 3u);
  EXPECT_EQ(TotalsOf(model, kept).live_bytes, 10 * 24 + 1000u);
  EXPECT_EQ(TotalsOf(model, kept).live_blocks, 11u);
  EXPECT_EQ(TotalsOf(model, kept).allocations, 12u);
  EXPECT_EQ(TotalsOf(model, kept).frees(), 1u);
  EXPECT_EQ(TotalsOf(model, kept).freed_bytes(), 24u);
  EXPECT_EQ(TotalsOf(model, freed).live_blocks, 0u);
  EXPECT_EQ(TotalsOf(model, freed).allocated_bytes, 640u);
  EXPECT_EQ(model.live_bytes, 1240u);
  EXPECT_EQ(model.live_blocks, 11u);
  EXPECT_EQ(model.allocations, 22u);
  EXPECT_EQ(model.frees, 11u);
  EXPECT_EQ(model.events, 32u);
  EXPECT_TRUE(model.complete);
  EXPECT_EQ(model.end.kind, End::Kind::kExit);
  EXPECT_EQ(model.program.executable, "/app/server");
  EXPECT_EQ(model.program.runtime_version, "24.0.0");
}

TEST(LoadTest, AttributesMakeOriginsOfTheirOwn) {
  SyntheticTrace trace(TracePath());
  const FrameId stack = trace.Stack({0x10});
  const std::uint32_t route = trace.Route("GET /health");
  trace.Allocate(trace.Kind(stack, 8));
  trace.Allocate(trace.Kind(stack, 8, format::EntryPoint::kCalloc));
  trace.Allocate(trace.Kind(stack, 8, format::EntryPoint::kMalloc, format::RequestPhase::kReceive));
  trace.Allocate(trace.Kind(stack, 8, format::EntryPoint::kMalloc, format::RequestPhase::kReceive, route));
  trace.Finish();

  const TraceModel model = Load(trace.path());
  ASSERT_THAT(model.origins, SizeIs(5));
  EXPECT_EQ(model.origins[2].entry, format::EntryPoint::kCalloc);
  EXPECT_EQ(model.origins[3].request_phase, format::RequestPhase::kReceive);
  EXPECT_EQ(model.routes[model.origins[4].route], "GET /health");
  EXPECT_EQ(model.AllocatorName(0), "libc");
}

TEST(LoadTest, KnowsWhatWasLiveAtThePeak) {
  SyntheticTrace trace(TracePath());
  const FrameId early = trace.Stack({0x10});
  const FrameId late = trace.Stack({0x20});
  const FrameId after = trace.Stack({0x30});
  const std::uint32_t hundred = trace.Kind(early, 100);
  const std::uint32_t thousand = trace.Kind(late, 1000);
  const std::uint32_t fifty = trace.Kind(after, 50);
  std::vector<std::uint64_t> blocks;
  for (int i = 0; i < 5; ++i) blocks.push_back(trace.Allocate(hundred));
  trace.Free(blocks.back());
  trace.At(2 * kSecond);
  trace.Request();
  const std::uint64_t top = trace.Allocate(thousand);  // 1400 bytes: the peak
  trace.At(3 * kSecond);
  trace.Request();
  trace.Free(top);
  trace.Free(blocks[0]);
  for (int i = 0; i < 8; ++i) trace.Allocate(fifty);
  trace.Finish();

  const TraceModel model = Load(trace.path());
  EXPECT_EQ(model.peak.live_bytes, 1400u);
  EXPECT_EQ(model.peak.live_blocks, 5u);
  EXPECT_EQ(model.peak.time, 2 * kSecond);
  EXPECT_EQ(model.peak.requests, 1u);
  EXPECT_EQ(TotalsOf(model, early).peak_bytes, 400u);
  EXPECT_EQ(TotalsOf(model, early).peak_blocks, 4u);
  EXPECT_EQ(TotalsOf(model, late).peak_bytes, 1000u);
  EXPECT_EQ(TotalsOf(model, after).peak_bytes, 0u);
  EXPECT_EQ(TotalsOf(model, early).live_bytes, 300u);
}

TEST(LoadTest, CutsRunPhasesAtMarks) {
  SyntheticTrace trace(TracePath());
  const std::uint32_t kind = trace.Kind(trace.Stack({0x10}), 100);
  trace.At(1 * kSecond);
  const std::uint64_t first = trace.Allocate(kind);
  trace.At(2 * kSecond);
  trace.Phase("load");
  for (int i = 0; i < 10; ++i) {
    trace.Request();
    trace.Allocate(kind);
  }
  trace.Free(first);
  trace.At(5 * kSecond);
  trace.Phase("settle");
  trace.Allocate(kind);
  trace.At(6 * kSecond);
  trace.Phase("load");
  trace.Allocate(kind);
  trace.At(8 * kSecond);
  trace.Allocate(kind);
  trace.Finish();

  const TraceModel model = Load(trace.path());
  ASSERT_THAT(model.run_phases, SizeIs(4));
  const RunPhase& load = model.run_phases[1];
  EXPECT_EQ(model.run_phases[0].name, "startup");
  EXPECT_EQ(load.name, "load");
  EXPECT_EQ(model.run_phases[2].name, "settle");
  EXPECT_EQ(model.run_phases[3].name, "load");
  EXPECT_EQ(load.start, 2 * kSecond);
  EXPECT_EQ(load.end, 5 * kSecond);
  EXPECT_EQ(load.requests, 10u);
  EXPECT_EQ(load.allocated_bytes, 1000u);
  EXPECT_EQ(load.freed_bytes, 100u);
  EXPECT_EQ(load.live_bytes, 1000u);
  EXPECT_FALSE(load.detected);
  EXPECT_EQ(model.run_phases[3].allocations, 2u);
  EXPECT_EQ(model.timeline.checkpoints()[load.start_checkpoint].live_bytes, 100u);
  EXPECT_EQ(model.timeline.checkpoints()[load.end_checkpoint].live_bytes, 1000u);
  EXPECT_EQ(model.timeline.checkpoints()[load.end_checkpoint].requests, 10u);

  std::map<std::uint32_t, std::uint64_t> survivors;
  for (const Survivors& entry : model.survivors) survivors[entry.run_phase] += entry.blocks;
  EXPECT_EQ(survivors, (std::map<std::uint32_t, std::uint64_t>{{1, 10}, {2, 1}, {3, 2}}));
}

TEST(LoadTest, FindsRunPhasesInTheTraffic) {
  SyntheticTrace trace(TracePath());
  const std::uint32_t kind = trace.Kind(trace.Stack({0x10}), 100);
  trace.Allocate(kind);
  trace.At(1 * kSecond);
  trace.Socket(format::SocketEvent::kAccepted);
  for (int i = 0; i < 20; ++i) {
    trace.At(1 * kSecond + static_cast<std::uint64_t>(i) * 400 * kMillisecond);  // a pause between requests is no end
    trace.Request();
    trace.Allocate(kind);
  }
  trace.At(12 * kSecond);
  trace.Allocate(kind);
  trace.Finish();

  const TraceModel model = Load(trace.path());
  ASSERT_THAT(model.run_phases, SizeIs(3));
  EXPECT_EQ(model.run_phases[0].name, "startup");
  EXPECT_EQ(model.run_phases[1].name, "load");
  EXPECT_EQ(model.run_phases[2].name, "settle");
  EXPECT_TRUE(model.run_phases[1].detected);
  EXPECT_EQ(model.run_phases[1].start, 1 * kSecond);
  EXPECT_EQ(model.run_phases[1].requests, 20u);
  EXPECT_EQ(model.run_phases[1].allocations, 20u);
  EXPECT_EQ(model.run_phases[2].start, 1 * kSecond + 19 * 400 * kMillisecond + 250 * kMillisecond);
  EXPECT_EQ(model.run_phases[2].allocations, 1u);
  EXPECT_EQ(model.requests, 20u);
  EXPECT_TRUE(model.saw_server);
}

TEST(LoadTest, WithoutTrafficAndMarksThereIsOnePhase) {
  SyntheticTrace trace(TracePath());
  trace.At(kSecond);
  trace.Allocate(trace.Kind(trace.Stack({0x10}), 100));
  trace.Finish();
  const TraceModel model = Load(trace.path());
  ASSERT_THAT(model.run_phases, SizeIs(1));
  EXPECT_EQ(model.run_phases[0].name, "run");
  EXPECT_EQ(model.run_phases[0].end, model.duration);
  EXPECT_FALSE(model.saw_server);
}

TEST(LoadTest, PutsBackWhatTeardownFrees) {
  SyntheticTrace trace(TracePath());
  const FrameId leak = trace.Stack({0x10});
  const std::uint32_t kind = trace.Kind(leak, 100);
  std::vector<std::uint64_t> blocks;
  for (int i = 0; i < 6; ++i) blocks.push_back(trace.Allocate(kind));
  trace.At(kSecond);
  trace.Exit();
  for (int i = 0; i < 4; ++i) trace.Free(blocks[static_cast<std::size_t>(i)]);
  trace.Free(trace.Allocate(kind));
  trace.Finish();

  const TraceModel model = Load(trace.path());
  ASSERT_TRUE(model.exit.has_value());
  EXPECT_EQ(model.exit->live_blocks, 6u);
  EXPECT_EQ(TotalsOf(model, leak).live_blocks, 2u);
  EXPECT_EQ(TotalsOf(model, leak).exit_blocks, 6u);
  std::uint64_t survivors = 0;
  for (const Survivors& entry : model.survivors) survivors += entry.blocks;
  EXPECT_EQ(survivors, 6u);
  EXPECT_EQ(model.run_phases.back().name, "exit");
}

TEST(LoadTest, KeepsMappingsApart) {
  SyntheticTrace trace(TracePath());
  const FrameId stack = trace.Stack({0x10});
  const std::uint32_t kind = trace.MappingKind(stack);
  const std::uint64_t first = trace.Map(kind, 0x10000, 0x4000);
  const std::uint64_t second = trace.Map(kind, 0x20000, 0x8000);
  trace.Unmap(first, 0x11000, 0x1000);  // a hole
  trace.Unmap(second, 0x20000, 0x8000);
  trace.Finish();

  const TraceModel model = Load(trace.path());
  EXPECT_EQ(model.live_bytes, 0u);
  EXPECT_EQ(model.mapped_bytes, 0x3000u);
  EXPECT_EQ(model.mappings, 1u);
  ASSERT_THAT(model.live_mappings, SizeIs(1));
  EXPECT_EQ(model.live_mappings[0].address, 0x10000u);
  EXPECT_EQ(model.live_mappings[0].bytes, 0x3000u);
  EXPECT_TRUE(model.live_mappings[0].anonymous);
  const OriginTotals& totals = TotalsOf(model, stack);
  EXPECT_EQ(totals.live_bytes, 0x3000u);
  EXPECT_EQ(totals.allocated_bytes, 0xc000u);
}

TEST(LoadTest, BoundsTheTimelineOfLongTraces) {
  SyntheticTrace trace(TracePath());
  const std::uint32_t kind = trace.Kind(trace.Stack({0x10}), 16);
  const std::uint32_t leak = trace.Kind(trace.Stack({0x20}), 1);
  constexpr std::uint64_t kRequests = 20'000;
  for (std::uint64_t i = 0; i < kRequests; ++i) {
    trace.At(i * kMillisecond);
    trace.Request();
    for (int j = 0; j < 4; ++j) trace.Free(trace.Allocate(kind));
    trace.Allocate(leak);
  }
  trace.Finish();

  const TraceModel model = Load(trace.path());
  const auto checkpoints = model.timeline.checkpoints();
  EXPECT_LE(checkpoints.size(), 300u);
  EXPECT_GE(checkpoints.size(), 128u);
  EXPECT_EQ(checkpoints.back().live_blocks, kRequests);
  // The leak's series follows the requests exactly.
  std::vector<std::int32_t> group(model.origins.size(), -1);
  for (std::size_t i = 1; i < model.origins.size(); ++i) {
    if (model.totals[i].live_blocks != 0) group[i] = 0;
  }
  const std::vector<SeriesPoint> series = model.timeline.Series(group, 1);
  ASSERT_EQ(series.size(), checkpoints.size());
  for (std::size_t i = 0; i < series.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(series[i].blocks), static_cast<double>(checkpoints[i].requests), 1.0);
  }
}

TEST(LoadTest, TellsWhyItCannotLoad) {
  const absl::StatusOr<TraceModel> missing = LoadTrace("/nonexistent/x.ltrace");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/nonexistent/x.ltrace"));
}

TEST(LoadTest, AnUnfinishedTraceIsRead) {
  SyntheticTrace trace(TracePath());
  trace.Allocate(trace.Kind(trace.Stack({0x10}), 100));
  trace.Flush();
  const TraceModel model = Load(trace.path());
  EXPECT_FALSE(model.complete);
  EXPECT_EQ(model.live_bytes, 100u);
}

}  // namespace
}  // namespace leaktrace::model
