#include "analyzer/read/trace_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "analyzer/trace/chunk.h"
#include "tests/trace/example_trace.h"

namespace leaktrace::read {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using trace::ChunkOffsets;
using trace::ExampleTrace;
using Bytes = std::vector<std::uint8_t>;

class Collector : public TraceVisitor {
 public:
  void OnHeader(format::trace::TraceHeader::Reader header) override { executable = header.getExecutable().cStr(); }
  void OnFrames(const FrameBatch& batch) override { frames += batch.parents.size(); }
  void OnKinds(const KindBatch& batch) override { kinds += batch.stacks.size(); }
  void OnEvents(const EventBatch& batch) override {
    ForEachEvent(batch, [this](const Event& event) { events.push_back(event); });
    for (const std::uint64_t time : {batch.start_time, batch.end_time}) times.push_back(time);
  }
  void OnLiveBlocks(absl::Span<const LiveBlock> blocks) override {
    live.insert(live.end(), blocks.begin(), blocks.end());
  }
  void OnFooter(format::trace::Footer::Reader) override { footer = true; }
  void OnMarks(format::trace::MarkList::Reader) override { ++marks; }

  std::string executable;
  std::size_t frames = 0, kinds = 0, marks = 0;
  std::vector<Event> events;
  std::vector<std::uint64_t> times;
  std::vector<LiveBlock> live;
  bool footer = false;
};

std::vector<std::string> Describe(const ReadSummary& summary) {
  std::vector<std::string> lines;
  for (const Damage& damage : summary.damage) lines.push_back(DescribeDamage("t", damage));
  return lines;
}

TEST(TraceReader, ReadsEverything) {
  Collector got;
  const auto summary = ReadTraceBytes(ExampleTrace(), "example", got);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_TRUE(summary->complete);
  EXPECT_FALSE(summary->being_written);
  EXPECT_EQ(summary->events, 8);
  EXPECT_EQ(summary->damaged, 0);
  EXPECT_EQ(got.executable, "/usr/bin/node");
  EXPECT_EQ(got.frames, 3);
  EXPECT_EQ(got.kinds, 2);
  EXPECT_TRUE(got.footer);
  ASSERT_THAT(got.events, SizeIs(8));
  EXPECT_EQ(got.events[1].size, 1000);
  EXPECT_EQ(got.events[3].released, 0);
  EXPECT_EQ(got.events[3].released_kind, 1);
  EXPECT_EQ(got.events[3].released_size, 64);
  EXPECT_EQ(got.events[3].time, 1'000'000);
  EXPECT_EQ(got.events[5].thread, 1);
  EXPECT_EQ(got.events[5].released, 2);
  EXPECT_EQ(got.events[5].size, std::uint64_t{5} << 32);
  ASSERT_THAT(got.live, SizeIs(2));
  EXPECT_EQ(got.live[0].allocation, 1);
  EXPECT_EQ(got.live[0].size, 1000);
  EXPECT_EQ(got.live[1].allocation, 3);
  EXPECT_EQ(got.live[1].size, std::uint64_t{5} << 32);
}

TEST(TraceReader, PassesOverEventsWhenAsked) {
  Collector got;
  const auto summary = ReadTraceBytes(ExampleTrace(), "example", got, {.events = false, .progress = {}});
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->damaged, 0);
  EXPECT_THAT(got.events, IsEmpty());
  EXPECT_EQ(got.frames, 0);
  EXPECT_EQ(got.marks, 1);
  EXPECT_TRUE(got.footer);
}

TEST(TraceReader, SaysWhatAChangedBitCost) {
  Bytes bytes = ExampleTrace();
  const std::vector<std::size_t> chunks = ChunkOffsets(bytes);
  bytes[chunks[5] + 40] ^= 4;  // in the first block of events
  Collector got;
  const auto summary = ReadTraceBytes(bytes, "t", got);
  ASSERT_TRUE(summary.ok());
  EXPECT_THAT(Describe(*summary), ElementsAre(absl::StrCat("t: chunk 5 at byte ", chunks[5],
                                                           ": checksum differs; 4 events lost, the rest was read")));
  EXPECT_EQ(summary->events_lost, 4);
  ASSERT_THAT(got.events, SizeIs(4));
  // The block that it takes was in the lost part.
  EXPECT_EQ(got.events[1].operation, trace::Operation::kReallocate);
  EXPECT_EQ(got.events[1].released_size, 64);
  EXPECT_TRUE(got.footer);
}

TEST(TraceReader, DescribesDamageWithReadableNumbers) {
  EXPECT_EQ(DescribeDamage("trace.ltrace", {1'203'412, 41, 2'311, "checksum differs"}),
            "trace.ltrace: chunk 41 at byte 1,203,412: checksum differs; 2,311 events lost, the rest was read");
}

TEST(TraceReader, FindsTheNextChunkBehindADamagedHeader) {
  Bytes bytes = ExampleTrace();
  const std::vector<std::size_t> chunks = ChunkOffsets(bytes);
  bytes[chunks[2]] = 0;
  Collector got;
  const auto summary = ReadTraceBytes(bytes, "t", got);
  ASSERT_TRUE(summary.ok());
  ASSERT_THAT(summary->damage, SizeIs(1));
  EXPECT_EQ(summary->damage[0].byte, chunks[2]);
  EXPECT_THAT(got.events, SizeIs(8));
}

TEST(TraceReader, NoticesChunksThatAreMissing) {
  Bytes bytes = ExampleTrace();
  const std::vector<std::size_t> chunks = ChunkOffsets(bytes);
  bytes.erase(bytes.begin() + static_cast<long>(chunks[5]), bytes.begin() + static_cast<long>(chunks[6]));
  Collector got;
  const auto summary = ReadTraceBytes(bytes, "t", got);
  ASSERT_TRUE(summary.ok());
  ASSERT_THAT(summary->damage, SizeIs(1));
  EXPECT_EQ(summary->damage[0].events_lost, 4);
  EXPECT_THAT(summary->damage[0].what, HasSubstr("missing"));
}

TEST(TraceReader, GivesLostKindsNoMeaning) {
  Bytes bytes = ExampleTrace();
  const std::vector<std::size_t> chunks = ChunkOffsets(bytes);
  bytes[chunks[4] + 40] ^= 4;  // the kinds
  Collector got;
  const auto summary = ReadTraceBytes(bytes, "t", got);
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->damaged, 1);
  ASSERT_THAT(got.events, SizeIs(8));
  for (const Event& event : got.events) EXPECT_EQ(event.kind, kLostKind);
  EXPECT_THAT(got.live, IsEmpty());
}

TEST(TraceReader, ReadsWhatATruncatedFileHolds) {
  Bytes bytes = ExampleTrace();
  const std::vector<std::size_t> chunks = ChunkOffsets(bytes);
  bytes.resize(chunks[6] + 50);
  Collector got;
  const auto summary = ReadTraceBytes(bytes, "t", got);
  ASSERT_TRUE(summary.ok());
  EXPECT_FALSE(summary->complete);
  EXPECT_THAT(got.events, SizeIs(4));
  ASSERT_THAT(summary->damage, SizeIs(1));
  EXPECT_EQ(summary->damage[0].what, "the file ends inside it");
  EXPECT_EQ(summary->damage[0].chunk, 6);
}

TEST(TraceReader, CountsChunksOfUnknownKinds) {
  Bytes bytes = ExampleTrace();
  const auto header = trace::MakeChunkHeader(static_cast<format::ChunkKind>(999), ChunkOffsets(bytes).size(), {});
  const auto* raw = reinterpret_cast<const std::uint8_t*>(&header);
  bytes.insert(bytes.end(), raw, raw + sizeof(header));
  Collector got;
  const auto summary = ReadTraceBytes(bytes, "t", got);
  ASSERT_TRUE(summary.ok());
  // A chunk without a message in it is not looked into.
  EXPECT_EQ(summary->unknown_chunks, 1);
  EXPECT_EQ(summary->damaged, 0);
}

TEST(TraceReader, RefusesANewerVersion) {
  const Bytes bytes = trace::WithVersion(ExampleTrace(), format::kTraceVersion + 1);
  Collector got;
  const auto summary = ReadTraceBytes(bytes, "t", got);
  ASSERT_FALSE(summary.ok());
  EXPECT_THAT(std::string(summary.status().message()), HasSubstr("newer"));
}

TEST(TraceReader, RefusesWhatIsNoTrace) {
  Collector got;
  for (const std::string text : {"", "hello", "a text that is longer than a chunk's header is"}) {
    const auto summary = ReadTraceBytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, "t", got);
    ASSERT_FALSE(summary.ok());
    EXPECT_THAT(std::string(summary.status().message()), HasSubstr("not a leaktrace trace"));
  }
  EXPECT_FALSE(ReadTrace("/nonexistent/x.ltrace", got).ok());
  EXPECT_FALSE(ReadTrace("/tmp", got).ok());
}

}  // namespace
}  // namespace leaktrace::read
