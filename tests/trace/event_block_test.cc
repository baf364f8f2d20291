#include "analyzer/trace/event_block.h"

#include <capnp/message.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "analyzer/trace/definitions.h"

namespace leaktrace::trace {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

class EventBlockTest : public ::testing::Test {
 protected:
  // What the builder holds, through a message and back.
  bool RoundTrip() {
    message_.emplace();
    auto block = message_->initRoot<format::trace::EventBlock>();
    builder_.Write(block, compressor_);
    block_ = block.asReader();
    return DecodeEventBlock(*block_, decompressor_, columns_);
  }

  ColumnCompressor compressor_{1};
  ColumnDecompressor decompressor_;
  EventBlockBuilder builder_;
  EventColumns columns_;
  std::optional<capnp::MallocMessageBuilder> message_;
  std::optional<format::trace::EventBlock::Reader> block_;
};

TEST_F(EventBlockTest, KeepsOperationsKindsAndDistances) {
  builder_.SetTime(5'000'000);
  const std::uint64_t first = builder_.Allocate(1);
  const std::uint64_t second = builder_.Allocate(300, 4096);
  builder_.Free(first);
  const std::uint64_t third = builder_.Reallocate(second, 70'000);
  builder_.Overlap(third);
  const std::uint64_t fourth = builder_.Reallocate(third, 300, std::uint64_t{1} << 39);
  EXPECT_EQ(fourth, 3);
  ASSERT_TRUE(RoundTrip());
  EXPECT_THAT(columns_.operations, ElementsAre(Operation::kAllocate, Operation::kAllocate, Operation::kFree,
                                               Operation::kReallocate, Operation::kOverlap, Operation::kReallocate));
  EXPECT_THAT(columns_.kinds, ElementsAre(1, 300, 70'000, 300));
  EXPECT_THAT(columns_.sizes, ElementsAre(4096, std::uint64_t{1} << 39));
  EXPECT_THAT(columns_.distances, ElementsAre(2, 1, 1, 1));
  EXPECT_EQ(block_->getAllocations(), 4);
  EXPECT_EQ(block_->getStartTime(), 5'000'000);
}

TEST_F(EventBlockTest, NumbersGoOnFromBlockToBlock) {
  builder_.SetTime(1'000'000);
  builder_.Allocate(1);
  ASSERT_TRUE(RoundTrip());
  EXPECT_EQ(builder_.pending(), 0);
  builder_.SetTime(2'500'999);
  builder_.Free(0);
  ASSERT_TRUE(RoundTrip());
  EXPECT_EQ(block_->getFirstEvent(), 1);
  EXPECT_EQ(block_->getFirstAllocation(), 1);
  EXPECT_EQ(block_->getStartTime(), 2'500'000);
  EXPECT_THAT(columns_.distances, ElementsAre(1));
}

TEST_F(EventBlockTest, CoversEveryEventWithATimeAndAThread) {
  builder_.SetTime(1'000);
  builder_.Allocate(1);
  builder_.SetThread(7);
  builder_.Allocate(1);
  builder_.SetTime(1'999);
  builder_.Allocate(1);
  builder_.SetTime(9'000);
  builder_.Allocate(1);
  builder_.SetThread(0);
  builder_.Allocate(1);
  ASSERT_TRUE(RoundTrip());
  ASSERT_EQ(columns_.time_runs.size(), 2);
  EXPECT_EQ(columns_.time_runs[0].events, 3);
  EXPECT_EQ(columns_.time_runs[0].time, 1'000);
  EXPECT_EQ(columns_.time_runs[1].events, 2);
  EXPECT_EQ(columns_.time_runs[1].time, 9'000);
  ASSERT_EQ(columns_.thread_runs.size(), 3);
  EXPECT_EQ(columns_.thread_runs[1].thread, 7);
  EXPECT_EQ(columns_.thread_runs[1].events, 3);
}

TEST_F(EventBlockTest, KeepsEverySideRecord) {
  const MappingPart part{0, 4096};
  SideRecord map{.operation = Operation::kMap,
                 .address = 0x7f0000000000,
                 .length = 8192,
                 .kind = 3,
                 .protection = 3,
                 .flags = 0x22};
  SideRecord remap{.operation = Operation::kRemap,
                   .address = 0x7e0000000000,
                   .length = 16384,
                   .old_address = 0x7f0000000000,
                   .old_length = 8192,
                   .kind = 4,
                   .protection = 3,
                   .flags = 0x22,
                   .file_offset = 4096,
                   .parts = {&part, 1}};
  SideRecord advise{
      .operation = Operation::kAdvise, .address = 0x7e0000000000, .length = 4096, .advice = 4, .parts = {&part, 1}};
  SideRecord unmap{.operation = Operation::kUnmap, .address = 0x7e0000000000, .length = 4096};
  SideRecord socket{
      .operation = Operation::kSocket, .descriptor = -1, .socket_event = format::SocketEvent::kSent, .bytes = 123};
  SideRecord unknown{
      .operation = Operation::kUnknownFree, .address = 0x1000, .entry = format::EntryPoint::kFree, .allocator = 2};
  SideRecord heap{.operation = Operation::kHeapDestroy, .address = 0x2000, .allocator = 1};
  for (const SideRecord* record : {&map, &remap, &advise, &unmap, &socket, &unknown, &heap}) builder_.Side(*record);
  EXPECT_EQ(builder_.next_mapping(), 2);
  ASSERT_TRUE(RoundTrip());
  ASSERT_EQ(columns_.side_records.size(), 7);
  const auto& got = columns_.side_records;
  EXPECT_EQ(got[0].address, map.address);
  EXPECT_EQ(got[0].length, map.length);
  EXPECT_EQ(got[0].kind, 3);
  EXPECT_EQ(got[0].file_offset, ~0ull);
  EXPECT_EQ(got[0].mapping, 0);
  EXPECT_EQ(got[1].mapping, 1);
  EXPECT_EQ(got[1].old_length, 8192);
  EXPECT_EQ(got[1].file_offset, 4096);
  EXPECT_THAT(got[1].parts, ElementsAre(part));
  EXPECT_EQ(got[2].advice, 4);
  EXPECT_THAT(got[2].parts, ElementsAre(part));
  EXPECT_THAT(got[3].parts, IsEmpty());
  EXPECT_EQ(got[4].descriptor, -1);
  EXPECT_EQ(got[4].bytes, 123);
  EXPECT_EQ(got[5].allocator, 2);
  EXPECT_EQ(got[6].address, 0x2000);
  EXPECT_EQ(got[6].event, 6);
}

TEST_F(EventBlockTest, RandomBlocksComeBack) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20; ++round) {
    std::vector<Operation> operations;
    std::vector<std::uint32_t> kinds;
    std::vector<std::uint64_t> distances;
    const std::uint64_t before = builder_.next_allocation();
    for (int i = 0; i < 1000; ++i) {
      builder_.SetTime(static_cast<std::uint64_t>(round) * 10'000'000 + static_cast<std::uint64_t>(i) * 777);
      if (builder_.next_allocation() == 0 || random() % 2 == 0) {
        kinds.push_back(static_cast<std::uint32_t>(random() >> (32 + random() % 32)));
        operations.push_back(Operation::kAllocate);
        builder_.Allocate(kinds.back());
      } else {
        distances.push_back(1 + random() % builder_.next_allocation());
        operations.push_back(Operation::kFree);
        builder_.Free(builder_.next_allocation() - distances.back());
      }
    }
    ASSERT_TRUE(RoundTrip());
    EXPECT_EQ(block_->getFirstAllocation(), before);
    EXPECT_THAT(columns_.operations, ElementsAreArray(operations));
    EXPECT_THAT(columns_.kinds, ElementsAreArray(kinds));
    EXPECT_THAT(columns_.distances, ElementsAreArray(distances));
  }
}

TEST(Definitions, FramesComeBack) {
  ColumnCompressor compressor(1);
  ColumnDecompressor decompressor;
  FrameEncoder encoder;
  capnp::MallocMessageBuilder first, second;
  EXPECT_EQ(encoder.Add({0, format::FrameKind::kNative, 0x5555'5555'0000, 0}), 1);
  EXPECT_EQ(encoder.Add({1, format::FrameKind::kInterpreted, 0x7fff'0000'1234, 77}), 2);
  encoder.Write(first.initRoot<format::trace::FrameTable>(), compressor);
  EXPECT_EQ(encoder.pending(), 0);
  EXPECT_EQ(encoder.Add({1, format::FrameKind::kTruncated, 128, 0xffff'ffff}), 3);
  encoder.Write(second.initRoot<format::trace::FrameTable>(), compressor);
  FrameColumns columns;
  ASSERT_TRUE(DecodeFrames(first.getRoot<format::trace::FrameTable>(), decompressor, columns));
  EXPECT_THAT(columns.parents, ElementsAre(0, 1));
  EXPECT_THAT(columns.values, ElementsAre(0x5555'5555'0000, 0x7fff'0000'1234));
  EXPECT_THAT(columns.auxiliaries, ElementsAre(0, 77));
  ASSERT_TRUE(DecodeFrames(second.getRoot<format::trace::FrameTable>(), decompressor, columns));
  EXPECT_EQ(second.getRoot<format::trace::FrameTable>().getFirstId(), 3);
  EXPECT_THAT(columns.parents, ElementsAre(1));
  EXPECT_THAT(columns.kinds, ElementsAre(format::FrameKind::kTruncated));
  EXPECT_THAT(columns.values, ElementsAre(128));
  EXPECT_THAT(columns.auxiliaries, ElementsAre(0xffff'ffff));
}

TEST(Definitions, KindsComeBack) {
  ColumnCompressor compressor(1);
  ColumnDecompressor decompressor;
  KindEncoder encoder;
  capnp::MallocMessageBuilder message;
  const KindAttributes attributes{format::EntryPoint::kNew, 3, format::RequestPhase::kRespond, KindAttributes::kJsHeap};
  EXPECT_EQ(encoder.Add({9, std::uint64_t{1} << 33, attributes, 5}), 1);
  EXPECT_EQ(encoder.Add({0, 0, {}, 0}), 2);
  encoder.Write(message.initRoot<format::trace::KindTable>(), compressor);
  KindColumns columns;
  ASSERT_TRUE(DecodeKinds(message.getRoot<format::trace::KindTable>(), decompressor, columns));
  EXPECT_THAT(columns.stacks, ElementsAre(9, 0));
  EXPECT_THAT(columns.sizes, ElementsAre(std::uint64_t{1} << 33, 0));
  EXPECT_THAT(columns.attributes, ElementsAre(attributes, KindAttributes{}));
  EXPECT_THAT(columns.routes, ElementsAre(5, 0));
}

}  // namespace
}  // namespace leaktrace::trace
