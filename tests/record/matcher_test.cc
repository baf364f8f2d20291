#include "analyzer/record/matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "analyzer/read/trace_reader.h"
#include "tests/record/fake_session.h"

namespace leaktrace::record {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::uint64_t kEver = ~std::uint64_t{0};

// What a trace says, in a form that tests compare.
class Contents : public read::TraceVisitor {
 public:
  void OnFrames(const read::FrameBatch& batch) override {
    for (std::size_t i = 0; i < batch.parents.size(); ++i)
      frames.push_back({batch.parents[i], batch.values[i], batch.kinds[i]});
  }
  void OnKinds(const read::KindBatch& batch) override {
    for (std::size_t i = 0; i < batch.stacks.size(); ++i) {
      stacks.push_back(batch.stacks[i]);
      attributes.push_back(batch.attributes[i]);
      routes.push_back(batch.routes[i]);
    }
  }
  void OnEvents(const read::EventBatch& batch) override {
    read::ForEachEvent(batch, [this](const read::Event& event) {
      std::string text;
      using trace::Operation;
      switch (event.operation) {
        case Operation::kAllocate:
          text = absl::StrCat("alloc ", event.allocation, " ", event.size);
          break;
        case Operation::kFree:
          text = absl::StrCat("free ", event.released, " ", event.released_size);
          break;
        case Operation::kReallocate:
          text = absl::StrCat("realloc ", event.released, " -> ", event.allocation, " ", event.size);
          break;
        case Operation::kOverlap:
          text = absl::StrCat("overlap ", event.released);
          break;
        case Operation::kUnknownFree:
          text = absl::StrCat("unknown ", event.side->address);
          break;
        case Operation::kMap:
          text = absl::StrCat("map ", event.side->mapping, " ", event.side->length, Parts(*event.side));
          break;
        case Operation::kUnmap:
          text = absl::StrCat("unmap ", event.side->length, Parts(*event.side));
          break;
        case Operation::kRemap:
          text = absl::StrCat("remap ", event.side->mapping, " ", event.side->length, Parts(*event.side));
          break;
        case Operation::kAdvise:
          text = absl::StrCat("advise ", event.side->length, Parts(*event.side));
          break;
        case Operation::kHeapDestroy:
          text = absl::StrCat("destroy ", event.side->address);
          break;
        default:
          text = "other";
          break;
      }
      events.push_back(text);
      threads.push_back(event.thread);
      kinds.push_back(event.kind);
      times.push_back(event.time);
    });
  }
  void OnLiveBlocks(absl::Span<const read::LiveBlock> blocks) override {
    for (const auto& block : blocks) live.push_back(block.allocation);
  }

  // Values of a kind's stack, innermost first.
  std::vector<std::uint64_t> StackOf(std::uint32_t kind) const {
    std::vector<std::uint64_t> values;
    for (std::uint32_t frame = stacks[kind - 1]; frame != 0; frame = frames[frame - 1].parent)
      values.push_back(frames[frame - 1].value);
    return values;
  }

  struct Frame {
    std::uint32_t parent;
    std::uint64_t value;
    format::FrameKind kind;
  };
  std::vector<Frame> frames;
  std::vector<std::uint32_t> stacks, routes, threads, kinds;
  std::vector<trace::KindAttributes> attributes;
  std::vector<std::string> events;
  std::vector<std::uint64_t> live, times;

 private:
  static std::string Parts(const read::SideRecord& side) {
    std::string text;
    for (const auto& part : side.parts) absl::StrAppend(&text, " ", part.mapping, ":", part.bytes);
    return text;
  }
};

class MatcherTest : public ::testing::Test {
 protected:
  MatcherTest() : MatcherTest(FakeSession::Options{}) {}
  explicit MatcherTest(const FakeSession::Options& options)
      : fake_(options),
        session_(*Session::Map(fake_.descriptor())),
        path_(absl::StrCat(::testing::TempDir(), "/matcher.", getpid(), ".ltrace")),
        encoder_(*trace::TraceWriter::Create(path_), 1),
        clock_(session_),
        rings_(session_),
        matcher_(rings_, session_, clock_, encoder_) {}
  ~MatcherTest() override { unlink(path_.c_str()); }

  void Pass(std::uint64_t watermark = kEver) {
    StagedRecord staged[16];
    rings_.BeginPass(watermark);
    while (const std::size_t count = rings_.Stage(staged)) {
      matcher_.Apply(absl::MakeConstSpan(staged, count), [](const StagedRecord&) {});
    }
    rings_.Release();
  }
  Contents Finish() {
    matcher_.Finish();
    encoder_.Flush(matcher_.code());
    Contents contents;
    const auto summary = read::ReadTrace(path_, contents);
    if (encoder_.bytes() == 0) return contents;
    EXPECT_TRUE(summary.ok()) << summary.status();
    EXPECT_EQ(summary->damaged, 0);
    return contents;
  }

  FakeSession fake_;
  Session session_;
  std::string path_;
  TraceEncoder encoder_;
  Clock clock_;
  RingSet rings_;
  Matcher matcher_;
};

TEST_F(MatcherTest, MatchesFreesToAllocations) {
  FakeThread thread = fake_.Thread(0);
  thread.Alloc(1, 0x1000, 10);
  thread.Alloc(2, 0x2000, 20);
  thread.Free(3, 0x1000);
  thread.Alloc(4, 0x1000, 30);
  Pass();
  EXPECT_EQ(matcher_.totals().live_bytes, 50);
  EXPECT_EQ(matcher_.live_blocks(), 2);
  const Contents contents = Finish();
  EXPECT_THAT(contents.events, ElementsAre("alloc 0 10", "alloc 1 20", "free 0 10", "alloc 2 30"));
  EXPECT_THAT(contents.live, ElementsAre(1, 2));
}

TEST_F(MatcherTest, OrdersRingsByStamp) {
  FakeThread a = fake_.Thread(0), b = fake_.Thread(1);
  a.Alloc(10, 0x1000, 1);
  a.Free(40, 0x2000);
  b.Alloc(20, 0x2000, 2);
  b.Free(30, 0x1000);
  Pass();
  const Contents contents = Finish();
  EXPECT_THAT(contents.events, ElementsAre("alloc 0 1", "alloc 1 2", "free 0 1", "free 1 2"));
  EXPECT_THAT(contents.threads, ElementsAre(0, 1, 1, 0));
}

TEST_F(MatcherTest, LeavesWhatIsStampedAfterTheWatermark) {
  FakeThread a = fake_.Thread(0), b = fake_.Thread(1);
  a.Alloc(10, 0x1000, 1);
  b.Free(50, 0x1000);
  b.Alloc(60, 0x1000, 2);
  Pass(50);
  EXPECT_EQ(matcher_.live_blocks(), 1);
  a.Alloc(40, 0x3000, 3);
  Pass(100);
  const Contents contents = Finish();
  EXPECT_THAT(contents.events, ElementsAre("alloc 0 1", "alloc 1 3", "free 0 1", "alloc 2 2"));
}

TEST_F(MatcherTest, TakesAReleaseThatIsStampedJustAfterTheNextAllocation) {
  FakeThread a = fake_.Thread(0), b = fake_.Thread(1);
  a.Alloc(10, 0x1000, 1);
  b.Alloc(99, 0x1000, 2);
  a.Free(100, 0x1000);
  Pass();
  EXPECT_EQ(matcher_.totals().live_bytes, 2);
  const Contents contents = Finish();
  EXPECT_THAT(contents.events, ElementsAre("alloc 0 1", "alloc 1 2", "free 0 1"));
  EXPECT_EQ(matcher_.totals().allocators[0].overlaps, 0);
}

TEST_F(MatcherTest, CountsAnOverlapWhoseReleaseNeverComes) {
  FakeThread a = fake_.Thread(0), b = fake_.Thread(1);
  a.Alloc(10, 0x1000, 1);
  b.Alloc(20, 0x1000, 2);
  b.Free(30, 0x1000);
  Pass();
  const Contents contents = Finish();
  EXPECT_THAT(contents.events, ElementsAre("alloc 0 1", "alloc 1 2", "free 1 2", "overlap 0"));
  EXPECT_EQ(matcher_.totals().allocators[0].overlaps, 1);
  EXPECT_EQ(matcher_.totals().live_bytes, 0);
}

TEST_F(MatcherTest, CountsUnknownFreesByAllocator) {
  FakeThread thread = fake_.Thread(0);
  thread.Free(1, 0x5000, 3);
  thread.ReallocBegin(2, 0x6000);
  thread.ReallocEnd(3, 0x7000, 70);
  Pass();
  EXPECT_THAT(Finish().events, ElementsAre("unknown 20480", "unknown 24576", "alloc 0 70"));
  EXPECT_EQ(matcher_.totals().allocators[3].unknown_frees, 1);
  EXPECT_EQ(matcher_.totals().allocators[0].unknown_frees, 1);
}

class ForkedChildTest : public MatcherTest {
 protected:
  ForkedChildTest() : MatcherTest(FakeSession::Options{.forked = true}) {}
};

TEST_F(ForkedChildTest, FreesItsParentsBlocks) {
  FakeThread thread = fake_.Thread(0);
  thread.Free(1, 0x5000);
  thread.ReallocBegin(2, 0x6000);
  thread.ReallocEnd(3, 0x7000, 70);
  thread.Free(4, 0x7000);
  Pass();
  EXPECT_THAT(Finish().events, ElementsAre("alloc 0 70", "free 0 70"));
  EXPECT_EQ(matcher_.totals().allocators[0].unknown_frees, 0);
  EXPECT_EQ(matcher_.totals().inherited_frees, 2);
}

TEST_F(MatcherTest, ReallocatesOrNot) {
  FakeThread a = fake_.Thread(0), b = fake_.Thread(1);
  a.Alloc(1, 0x1000, 10);
  a.ReallocBegin(2, 0x1000);
  b.Alloc(3, 0x1000, 5);  // the old place is free at once
  a.ReallocEnd(4, 0x2000, 20);
  a.ReallocBegin(5, 0x2000);
  a.Op1(format::Op::kReallocCancel, 6);
  a.Free(7, 0x2000);
  Pass();
  const Contents contents = Finish();
  EXPECT_THAT(contents.events, ElementsAre("alloc 0 10", "alloc 1 5", "realloc 0 -> 2 20", "free 2 20"));
  EXPECT_THAT(contents.live, ElementsAre(1));
  EXPECT_EQ(matcher_.totals().allocators[0].overlaps, 0);
}

TEST_F(MatcherTest, MergesStacksOfThreads) {
  FakeThread a = fake_.Thread(0), b = fake_.Thread(1);
  a.Frame(1, 0, 0xa);
  a.Frame(2, 1, 0xb);
  a.Alloc(3, 0x1000, 8, 2);
  b.Frame(4, 0, 0xa);
  b.Frame(5, 1, 0xc);
  b.Frame(6, 1, 0xb);
  b.Alloc(7, 0x2000, 8, 3);
  b.Alloc(8, 0x3000, 8, 2);
  Pass();
  const Contents contents = Finish();
  ASSERT_EQ(contents.frames.size(), 3);
  EXPECT_EQ(contents.kinds[0], contents.kinds[1]);
  EXPECT_THAT(contents.StackOf(contents.kinds[1]), ElementsAre(0xb, 0xa));
  EXPECT_THAT(contents.StackOf(contents.kinds[2]), ElementsAre(0xc, 0xa));
}

TEST_F(MatcherTest, ForgetsNodesWhenTheThreadDoes) {
  FakeThread thread = fake_.Thread(0);
  thread.Frame(1, 0, 0xa);
  thread.Append({FakeThread::Word0(format::Op::kFrame, 2), ~std::uint64_t{0}, 0});
  thread.Frame(3, 0, 0xb);
  thread.Alloc(4, 0x1000, 8, 1);
  Pass();
  const Contents contents = Finish();
  EXPECT_THAT(contents.StackOf(contents.kinds[0]), ElementsAre(0xb));
}

TEST_F(MatcherTest, GivesASiteOfManySizesOneKind) {
  FakeThread thread = fake_.Thread(0);
  thread.Frame(1, 0, 0xa);
  for (std::uint64_t i = 0; i < 100; ++i) thread.Alloc(2 + i, 0x1000 + i * 4096, 100 + i, 1);
  for (std::uint64_t i = 0; i < 100; ++i) thread.Free(200 + i, 0x1000 + i * 4096);
  Pass();
  EXPECT_EQ(matcher_.totals().live_bytes, 0);
  const Contents contents = Finish();
  EXPECT_EQ(contents.stacks.size(), 9);
  EXPECT_EQ(contents.attributes.back().flags, trace::KindAttributes::kSizeVaries);
  EXPECT_EQ(contents.events[99], "alloc 99 199");
  EXPECT_EQ(contents.events[150], "free 50 150");
  EXPECT_THAT(contents.live, IsEmpty());
}

TEST_F(MatcherTest, SplitsMovesAndReplacesMappings) {
  FakeThread thread = fake_.Thread(0);
  thread.Map(1, 0x10000, 0x4000);
  thread.Unmap(2, 0x11000, 0x1000);
  EXPECT_EQ(matcher_.mapped_bytes(), 0);
  thread.Map(3, 0x12000, 0x1000);
  thread.Append({FakeThread::Word0(format::Op::kRemapBegin, 4), 0x10000, 0x1000});
  thread.Append({FakeThread::Word0(format::Op::kRemapEnd, 5), 0x50000, 0x2000, 0, format::MapWord::kAnonymous});
  thread.Append({FakeThread::Word0(format::Op::kAdvise, 6), 0x12000, 0x2000, 4});
  thread.Unmap(7, 0x12000, 0x1000);
  thread.Op1(format::Op::kUnmapCancel, 8);
  thread.Append({FakeThread::Word0(format::Op::kRemapBegin, 9), 0x50000, 0x2000});
  thread.Op1(format::Op::kRemapCancel, 10);
  thread.Unmap(11, 0, 0x100000);
  Pass();
  EXPECT_EQ(matcher_.mapped_bytes(), 0);
  EXPECT_THAT(Finish().events,
              ElementsAre("map 0 16384", "unmap 4096 0:4096", "map 1 4096 0:4096", "remap 2 8192 0:4096",
                          "advise 8192 1:4096 0:4096", "unmap 1048576 1:4096 0:4096 2:8192"));
}

TEST_F(MatcherTest, FreesAHeapAtOnce) {
  FakeThread thread = fake_.Thread(0);
  constexpr std::uint64_t kHeap = 0x9000;
  for (std::uint64_t i = 0; i < 3; ++i) {
    thread.Alloc(2 * i + 1, 0x1000 * (i + 1), 8);
    if (i != 1) thread.Append({FakeThread::Word0(format::Op::kHeapBlock, 2 * i + 2), kHeap});
  }
  thread.Append({FakeThread::Word0(format::Op::kHeapDestroy, 10), kHeap});
  Pass();
  const Contents contents = Finish();
  EXPECT_THAT(contents.live, ElementsAre(1));
  ASSERT_EQ(contents.events.size(), 6);
  EXPECT_EQ(contents.events[3], "destroy 36864");
}

TEST_F(MatcherTest, PutsScheduledWorkUnderItsScheduler) {
  FakeThread loop = fake_.Thread(0), pool = fake_.Thread(1);
  loop.Frame(1, 0, 0xa);
  loop.Append({FakeThread::Word0(format::Op::kSchedule, 2), 0x777, 1, 0});
  pool.Frame(3, 0, 0xb);
  pool.Append({FakeThread::Word0(format::Op::kScheduled, 4), 0x777, 0});
  pool.Alloc(5, 0x1000, 8, 1);
  pool.Append({FakeThread::Word0(format::Op::kScheduled, 6), 0, 0});
  pool.Alloc(7, 0x2000, 8, 1);
  Pass();
  const Contents contents = Finish();
  EXPECT_THAT(contents.StackOf(contents.kinds[0]), ElementsAre(0xb, 0, 0xa));
  EXPECT_THAT(contents.StackOf(contents.kinds[1]), ElementsAre(0xb));
}

TEST_F(MatcherTest, GivesASlotsNextThreadAnIndexOfItsOwn) {
  FakeThread thread = fake_.Thread(0);
  thread.AppendVariable(format::Op::kThreadStart, 1, "first");
  thread.Alloc(2, 0x1000, 8);
  thread.Op1(format::Op::kThreadEnd, 3);
  fake_.slot(0).state.store(format::SlotState::kEnding);
  Pass();
  EXPECT_EQ(fake_.slot(0).state.load(), format::SlotState::kFree);
  thread.AppendVariable(format::Op::kThreadStart, 4, "second");
  thread.Free(5, 0x1000);
  Pass();
  const Contents contents = Finish();
  EXPECT_THAT(contents.threads, ElementsAre(0, 1));
}

TEST_F(MatcherTest, ReadsADamagedRingNoFurther) {
  FakeThread a = fake_.Thread(0), b = fake_.Thread(1);
  a.Alloc(1, 0x1000, 8);
  a.Append({FakeThread::Word0(static_cast<format::Op>(200), 2)});
  a.Alloc(3, 0x2000, 8);
  b.Alloc(4, 0x3000, 8);
  Pass();
  EXPECT_EQ(rings_.damaged_rings(), 1);
  EXPECT_THAT(Finish().events, ElementsAre("alloc 0 8", "alloc 1 8"));
}

}  // namespace
}  // namespace leaktrace::record
