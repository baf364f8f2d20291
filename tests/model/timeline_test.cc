#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "analyzer/model/timeline_builder.h"

namespace leaktrace::model {
namespace {

using Reason = TimelineBuilder::Reason;

TEST(TimelineTest, ThinningKeepsTheLatestState) {
  TimelineBuilder builder(0, 0);
  constexpr std::uint64_t kRequests = 1000;
  for (std::uint64_t request = 0; request < kRequests; ++request) {
    if (request < builder.Next(Reason::kRequests)) continue;
    const auto origin = static_cast<OriginId>(1 + request % 7);
    builder.Add(Reason::kRequests, {.event = request, .requests = request, .live_bytes = request},
                {{.origin = origin, .blocks = 1, .bytes = request}});
  }
  builder.Add(Reason::kEnd, {.event = kRequests, .requests = kRequests}, {{.origin = 9, .blocks = 2, .bytes = 5}});
  const Timeline timeline = std::move(builder).Finish();
  ASSERT_LE(timeline.checkpoints().size(), 98u);
  ASSERT_GE(timeline.checkpoints().size(), 48u);
  // Origins seen in dropped checkpoints are still there, with their last state.
  const std::vector<std::int32_t> group(10, 0);
  const std::vector<SeriesPoint> series = timeline.Series(group, 1);
  EXPECT_EQ(series.back().blocks, 7 + 2u);
  EXPECT_EQ(timeline.checkpoints().back().event, kRequests);
}

TEST(TimelineTest, AtFindsTheFirstStateNotBefore) {
  TimelineBuilder builder(0, 0);
  for (std::uint64_t event : {10, 20, 30}) builder.Add(Reason::kBoundary, {.event = event}, {});
  const Timeline timeline = std::move(builder).Finish();
  EXPECT_EQ(timeline.At(0), 0u);
  EXPECT_EQ(timeline.At(20), 1u);
  EXPECT_EQ(timeline.At(21), 2u);
  EXPECT_EQ(timeline.At(31), 2u);
}

}  // namespace
}  // namespace leaktrace::model
