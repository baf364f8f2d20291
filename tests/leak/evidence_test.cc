#include "analyzer/leak/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>

#include "tests/leak/synthetic.h"

namespace leaktrace::leak {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

// 10 s of startup, 80 s of load with 100 requests a second, 10 s in which nothing comes any more.
double Traffic(double time) { return std::clamp(time - 10, 0.0, 80.0) * 100; }
double NoTraffic(double /*time*/) { return 0; }

std::vector<Evidence> WeighAll(const Synthetic& run, std::size_t sites, const std::optional<Per>& per = std::nullopt,
                               std::vector<PhaseSpan> phases = {}) {
  ProcessHistory process = run.Process();
  process.phases = std::move(phases);
  const absl::StatusOr<Window> window = ChooseWindow(process, per);
  EXPECT_TRUE(window.ok()) << window.status();
  std::vector<Evidence> all;
  for (std::size_t site = 0; site < sites && window.ok(); ++site) {
    Series series(process.timeline.size());
    series.Add(run.Site(site));
    all.push_back(Weigh(series, process, *window));
  }
  return all;
}

Evidence WeighOne(std::vector<Synthetic::Block> blocks, double (*traffic)(double) = Traffic) {
  Synthetic run(100, traffic);
  run.AddSite(std::move(blocks));
  // What it needs to run, and other work, so that its clock does not depend on the site alone.
  run.AddSite(Evenly(0, 2, 3000, 100) + Evenly(0, 90, 20000, 64, 0.2));
  return WeighAll(run, 1)[0];
}

TEST(EvidenceTest, LinearGrowthIsALeakWithItsExactRate) {
  const Evidence evidence = WeighOne(Evenly(10, 90, 96000, 28));
  EXPECT_EQ(evidence.kind, Class::kLeak) << evidence.reason;
  EXPECT_EQ(evidence.unit, Unit::kRequest);
  EXPECT_EQ(evidence.blocks_per_unit, 12);
  EXPECT_NEAR(evidence.bytes_per_unit, 336, 1);
  EXPECT_THAT(evidence.bytes_low, Le(evidence.bytes_per_unit));
  EXPECT_THAT(evidence.bytes_high, Ge(evidence.bytes_per_unit));
  EXPECT_GT(evidence.confidence, 0.9);
  EXPECT_NEAR(evidence.flattening, 1, 0.05);
  EXPECT_THAT(evidence.reason, HasSubstr("12 blocks and 336 B per request"));
}

TEST(EvidenceTest, LinearGrowthWithNoise) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> when(10, 90);
  std::exponential_distribution<double> lifetime(0.5);
  std::vector<Synthetic::Block> blocks;
  for (int i = 0; i < 4000; ++i) blocks.push_back({when(random), kNever, 100 + random() % 57});
  for (int i = 0; i < 20000; ++i) {
    const double birth = when(random);
    blocks.push_back({birth, birth + lifetime(random), 100 + random() % 57});
  }
  const Evidence evidence = WeighOne(blocks);
  EXPECT_EQ(evidence.kind, Class::kLeak) << evidence.reason;
  EXPECT_NEAR(evidence.blocks_per_unit, 0.5, 0.02);
  EXPECT_NEAR(evidence.bytes_per_unit, 64, 3);
  EXPECT_GT(evidence.confidence, 0.8);
}

TEST(EvidenceTest, AStepIsOneTime) {
  const Evidence evidence = WeighOne(Evenly(50, 50.5, 2000, 100));
  EXPECT_EQ(evidence.kind, Class::kOneTime) << evidence.reason;
}

TEST(EvidenceTest, SaturationIsAWarmUp) {
  std::vector<Synthetic::Block> blocks;
  std::mt19937_64 random(3);
  std::exponential_distribution<double> when(1 / 15.0);
  for (int i = 0; i < 5000; ++i) blocks.push_back({10 + when(random), kNever, 64});
  const Evidence evidence = WeighOne(blocks);
  EXPECT_EQ(evidence.kind, Class::kWarmUp) << evidence.reason;
}

TEST(EvidenceTest, ACacheThatFillsUpAndStaysFullIsNoLeak) {
  // Ten entries a second, of which the 200 youngest are kept.
  const Evidence evidence = WeighOne(Evenly(10, 90, 800, 1000, 20));
  EXPECT_NE(evidence.kind, Class::kLeak) << evidence.reason;
}

TEST(EvidenceTest, SawtoothIsChurn) {
  for (const double period : {0.7, 3.0, 11.0, 29.0}) {
    const Evidence evidence = WeighOne(Sawtooth(10, 90, 8000, 512, period));
    EXPECT_EQ(evidence.kind, Class::kChurn) << period << ": " << evidence.reason;
  }
}

TEST(EvidenceTest, SlowGrowthUnderALargeSawtooth) {
  for (const double period : {0.7, 3.0, 11.0, 29.0}) {
    const Evidence evidence = WeighOne(Sawtooth(10, 90, 20000, 512, period) + Evenly(10, 90, 400, 512));
    EXPECT_EQ(evidence.kind, Class::kLeak) << period << ": " << evidence.reason;
    EXPECT_NEAR(evidence.bytes_per_unit, 512 * 0.05, 512 * 0.05 * 0.05) << period;
  }
}

TEST(EvidenceTest, TwoLeaksOfDifferentRates) {
  Synthetic run(100, Traffic);
  run.AddSite(Evenly(10, 90, 8000, 40));
  run.AddSite(Evenly(10, 90, 24000, 1000));
  const std::vector<Evidence> all = WeighAll(run, 2);
  EXPECT_EQ(all[0].kind, Class::kLeak);
  EXPECT_EQ(all[1].kind, Class::kLeak);
  EXPECT_EQ(all[0].blocks_per_unit, 1);
  EXPECT_EQ(all[1].blocks_per_unit, 3);
  EXPECT_NEAR(all[0].bytes_per_unit, 40, 0.5);
  EXPECT_NEAR(all[1].bytes_per_unit, 3000, 30);
}

TEST(EvidenceTest, ALeakThatStartsLate) {
  const Evidence evidence = WeighOne(Evenly(60, 90, 6000, 200));
  EXPECT_EQ(evidence.kind, Class::kLeak) << evidence.reason;
  EXPECT_NEAR(evidence.bytes_per_unit, 400, 20);
  EXPECT_EQ(evidence.blocks_per_unit, 2);
  EXPECT_GT(evidence.onset, 0.4);
}

TEST(EvidenceTest, GrowthOnlyOutsideRequests) {
  // 5 s of requests, 5 s of none, and so on; a timer leaks in the pauses.
  const auto bursts = +[](double time) {
    const double whole = std::floor(time / 10), rest = time - 10 * whole;
    return 1000 * whole + std::min(rest, 5.0) * 200;
  };
  std::vector<Synthetic::Block> blocks;
  for (double begin = 5; begin < 100; begin += 10) blocks = blocks + Evenly(begin, begin + 5, 100, 300);
  const Evidence evidence = WeighOne(blocks, bursts);
  EXPECT_EQ(evidence.kind, Class::kLeak) << evidence.reason;
  EXPECT_EQ(evidence.unit, Unit::kSecond);
  EXPECT_NEAR(evidence.bytes_per_unit, 3000, 250);
  EXPECT_THAT(evidence.reason, HasSubstr("while no requests are served"));
}

TEST(EvidenceTest, ATimerThatLeaksAllTheTimeIsNotTheRequestsFault) {
  const auto bursts = +[](double time) {
    const double whole = std::floor(time / 10), rest = time - 10 * whole;
    return 1000 * whole + std::min(rest, 5.0) * 200;
  };
  const Evidence evidence = WeighOne(Evenly(0, 100, 2000, 300), bursts);
  EXPECT_EQ(evidence.kind, Class::kLeak) << evidence.reason;
  EXPECT_EQ(evidence.unit, Unit::kSecond);
  EXPECT_NEAR(evidence.bytes_per_unit, 6000, 200);
}

TEST(EvidenceTest, AScriptWithoutRequestsIsMeasuredInSeconds) {
  const Evidence evidence = WeighOne(Evenly(5, 90, 8500, 100), NoTraffic);
  EXPECT_EQ(evidence.kind, Class::kLeak) << evidence.reason;
  EXPECT_EQ(evidence.unit, Unit::kSecond);
  EXPECT_NEAR(evidence.bytes_per_unit, 10000, 1500);
}

TEST(EvidenceTest, IterationsOfAPhase) {
  Synthetic run(110, NoTraffic, 221);
  run.AddSite(Evenly(10, 90, 8800, 5272));
  run.AddSite(Evenly(0, 110, 20000, 64, 0.2));
  const std::vector<PhaseSpan> phases = {
      {"startup", 0, 20}, {"warmup", 20, 36}, {"load", 36, 180}, {"settle", 180, 220}};
  const std::vector<Evidence> all = WeighAll(run, 2, Per{"load", 7920}, phases);
  EXPECT_EQ(all[0].kind, Class::kLeak) << all[0].reason;
  EXPECT_EQ(all[0].unit, Unit::kIteration);
  EXPECT_EQ(all[0].blocks_per_unit, 1);
  EXPECT_NEAR(all[0].bytes_per_unit, 5272, 30);
  EXPECT_EQ(all[1].kind, Class::kChurn) << all[1].reason;
}

TEST(EvidenceTest, IterationsOfARunWithoutPhases) {
  // The program needs half of its allocations to start.
  Synthetic run(100, NoTraffic);
  run.AddSite(Evenly(45, 100, 2200, 5272));
  run.AddSite(Evenly(0, 100, 20000, 64, 0.2));
  const std::vector<Evidence> all = WeighAll(run, 1, Per{"load", 2200});
  EXPECT_EQ(all[0].kind, Class::kLeak) << all[0].reason;
  EXPECT_EQ(all[0].blocks_per_unit, 1);
  EXPECT_NEAR(all[0].bytes_per_unit, 5272, 30);
}

TEST(EvidenceTest, ABlockThatIsEnlargedWithEveryRequestIsALeak) {
  std::vector<Synthetic::Block> blocks;
  for (int i = 0; i < 800; ++i) {
    const double birth = 10 + i * 0.1;
    blocks.push_back({birth, i == 799 ? kNever : birth + 0.1, static_cast<std::uint64_t>(1000 * (i + 1))});
  }
  const Evidence evidence = WeighOne(blocks);
  EXPECT_EQ(evidence.kind, Class::kLeak) << evidence.reason;
  EXPECT_NEAR(evidence.bytes_per_unit, 100, 5);
}

TEST(EvidenceTest, ATableThatDoublesIsNotCalledALeak) {
  std::vector<Synthetic::Block> blocks;
  double birth = 0.5;
  for (int i = 0; i < 8; ++i, birth *= 2)
    blocks.push_back({birth, i == 7 ? kNever : birth * 2, std::uint64_t{4096} << i});
  const Evidence evidence = WeighOne(blocks);
  EXPECT_NE(evidence.kind, Class::kLeak) << evidence.reason;
}

TEST(EvidenceTest, ReplacedBlocksAreNoLeak) {
  // 2,000 blocks there from the start, each replaced once in the load.
  std::vector<Synthetic::Block> blocks;
  for (int i = 0; i < 2000; ++i) {
    const double replaced = 10 + 0.04 * i;
    blocks.push_back({1 + 0.001 * i, replaced, 256});
    blocks.push_back({replaced, kNever, 256});
  }
  const Evidence evidence = WeighOne(blocks);
  EXPECT_EQ(evidence.kind, Class::kChurn) << evidence.reason;
}

TEST(EvidenceTest, TeardownBeforeTheEndOfTheTraceHidesNothing) {
  std::vector<Synthetic::Block> blocks = Evenly(10, 97, 8700, 100);
  for (Synthetic::Block& block : blocks) block.death = 99;
  Synthetic run(100, [](double time) { return std::clamp(time - 10, 0.0, 87.0) * 100; });
  run.AddSite(blocks);
  const Evidence evidence = WeighAll(run, 1)[0];
  EXPECT_EQ(evidence.kind, Class::kLeak) << evidence.reason;
  EXPECT_NEAR(evidence.bytes_per_unit, 100, 2);
}

// A site whose blocks come and go for ever: random rate, size, lifetimes and collector.
std::vector<Synthetic::Block> RandomStationary(std::mt19937_64& random) {
  const auto uniform = [&](double from, double to) { return std::uniform_real_distribution<double>(from, to)(random); };
  const double rate = std::exp(uniform(std::log(0.5), std::log(60)));
  const double mean = std::exp(uniform(std::log(0.05), std::log(15)));
  const int shape = static_cast<int>(uniform(0, 4));
  const std::uint64_t bytes = static_cast<std::uint64_t>(uniform(16, 4096));
  std::vector<Synthetic::Block> blocks;
  // It has gone on since long before the trace began.
  for (double time = -100; time < 100; time += std::exponential_distribution<double>(rate)(random)) {
    double death = time + mean;
    if (shape == 1) death = time + std::exponential_distribution<double>(1 / mean)(random);
    if (shape == 2) death = (std::floor(time / (2 * mean)) + 1) * 2 * mean;
    if (shape == 3) death = time + uniform(0, 2 * mean);
    if (death > 0) blocks.push_back({std::max(time, 0.0), death, bytes + random() % 64});
  }
  return blocks;
}

TEST(EvidenceTest, NoLeakOnRandomStationaryTimelines) {
  std::mt19937_64 random(20240611);
  for (int i = 0; i < 200; ++i) {
    const Evidence evidence = WeighOne(RandomStationary(random), i % 2 == 0 ? Traffic : NoTraffic);
    EXPECT_NE(evidence.kind, Class::kLeak) << "timeline " << i << ": " << evidence.reason;
  }
}

TEST(EvidenceTest, TheSameHistoryGivesTheSameEvidence) {
  const Evidence a = WeighOne(Sawtooth(10, 90, 8000, 512, 3)), b = WeighOne(Sawtooth(10, 90, 8000, 512, 3));
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.confidence, b.confidence);
}

}  // namespace
}  // namespace leaktrace::leak
