#include "analyzer/report/judgement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <sstream>
#include <vector>

#include "analyzer/model/load.h"
#include "analyzer/report/folded.h"
#include "analyzer/report/make_profile.h"
#include "analyzer/report/verdict_json.h"
#include "tests/model/synthetic_trace.h"

namespace leaktrace::report {
namespace {

using testing::SyntheticTrace;

// A server that answers 1,000 requests in 10 s. Each leaves a block of 100 bytes behind; others come and go; the load
// is marked.
class JudgementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("judgement-" + std::to_string(getpid()) + "-" +
             ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".ltrace");
    SyntheticTrace trace(path_);
    const std::uint32_t script = trace.Frame(trace.Stack({0x1000}), format::FrameKind::kJit, 0x7000);
    trace.JavaScript(script, "handler", "/srv/server.js", 12);
    const std::uint32_t leaky =
        trace.Kind(trace.Frame(script, format::FrameKind::kNative, SyntheticTrace::kExecutableBase + 0x2000), 100);
    const std::uint32_t churn = trace.Kind(trace.Stack({0x1000, 0x3000}), 64);
    const std::uint32_t start = trace.Kind(trace.Stack({0x1000, 0x4000}), 1000);
    for (int i = 0; i < 500; ++i) {
      trace.At(static_cast<std::uint64_t>(i) * SyntheticTrace::kMillisecond);
      trace.Allocate(start);
    }
    trace.At(SyntheticTrace::kSecond);
    trace.Phase("load");
    for (std::uint64_t i = 0; i < 1000; ++i) {
      trace.At(SyntheticTrace::kSecond + i * 10 * SyntheticTrace::kMillisecond);
      trace.Allocate(leaky);
      const std::uint64_t scratch = trace.Allocate(churn);
      trace.Request();
      trace.Free(scratch);
    }
    trace.At(11 * SyntheticTrace::kSecond);
    trace.Phase("settle");
    trace.At(12 * SyntheticTrace::kSecond);
    trace.Finish();
    auto model = model::LoadTrace(path_);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = std::make_unique<model::TraceModel>(*std::move(model));
    auto names = Names::Make(*model_, {});
    ASSERT_TRUE(names.ok()) << names.status();
    names_ = *std::move(names);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::string path_;
  std::unique_ptr<model::TraceModel> model_;
  std::unique_ptr<Names> names_;
};

TEST_F(JudgementTest, TheLeakOfATraceIsItsFirstSuspect) {
  const auto judgement = Judge(*model_, *names_, {});
  ASSERT_TRUE(judgement.ok()) << judgement.status();
  EXPECT_EQ(judgement->verdict.kind, leak::Kind::kNativeLeak) << judgement->verdict.summary;
  ASSERT_FALSE(judgement->suspects.empty());
  const NamedSuspect& first = judgement->suspects[0];
  EXPECT_EQ(first.suspect.evidence.kind, leak::Class::kLeak);
  EXPECT_EQ(first.suspect.evidence.unit, leak::Unit::kRequest);
  EXPECT_EQ(first.suspect.evidence.blocks_per_unit, 1);
  EXPECT_NEAR(first.suspect.evidence.bytes_per_unit, 100, 0.5);
  EXPECT_EQ(first.site.bytes, 100'000u);
  EXPECT_EQ(first.site.blocks, 1000u);
  EXPECT_THAT(judgement->verdict.summary, ::testing::HasSubstr("handler"));
  const auto json = SuspectsJson(*model_, *names_, *judgement, 0, 0);
  EXPECT_EQ(json[0]["class"], "leak");
  EXPECT_EQ(json[0]["site"]["bytes"], 100'000);
  EXPECT_EQ(json[0]["site"]["phase"], "load");
}

TEST_F(JudgementTest, IterationsOfThePhase) {
  const auto judgement = Judge(*model_, *names_, {.per = leak::Per{"load", 500}});
  ASSERT_TRUE(judgement.ok()) << judgement.status();
  EXPECT_NEAR(*judgement->verdict.bytes_per_unit, 200, 1);
  EXPECT_EQ(VerdictJson(*judgement)["per"]["unit"], "iteration");
  EXPECT_FALSE(Judge(*model_, *names_, {.per = leak::Per{"burst", 500}}).ok());
}

TEST_F(JudgementTest, ExportedTotalsAreTheReports) {
  const auto judgement = Judge(*model_, *names_, {});
  ASSERT_TRUE(judgement.ok()) << judgement.status();
  const auto window = leak::ChooseWindow(MakeProcessHistory(*model_), std::nullopt);
  ASSERT_TRUE(window.ok()) << window.status();
  const Profile profile = MakeProfile(*model_, *names_, {.mappings = false, .window = *window});
  EXPECT_EQ(profile.Total(Metric::kLiveBytes), model_->live_bytes);
  EXPECT_EQ(profile.Total(Metric::kLiveBlocks), model_->live_blocks);
  EXPECT_EQ(profile.Total(Metric::kAllocatedBytes), model_->allocated_bytes);
  EXPECT_EQ(profile.Total(Metric::kAllocations), model_->allocations);
  EXPECT_EQ(profile.Total(Metric::kGrowthBytes), judgement->survived.bytes);
  EXPECT_EQ(profile.Total(Metric::kGrowthBlocks), judgement->survived.blocks);
  EXPECT_EQ(judgement->survived.bytes, 100'000u);
  std::istringstream lines(Folded(profile, Metric::kLiveBytes));
  std::uint64_t sum = 0;
  for (std::string line; std::getline(lines, line);) sum += std::stoull(line.substr(line.rfind(' ') + 1));
  EXPECT_EQ(sum, 600'000u);
}

}  // namespace
}  // namespace leaktrace::report
