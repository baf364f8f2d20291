// The recorder as a whole, on a session that the test writes and a target that does nothing.
#include "analyzer/record/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzer/read/trace_reader.h"
#include "analyzer/trace/trace_writer.h"
#include "tests/record/fake_session.h"

namespace leaktrace::record {
namespace {

using format::Op;
using format::RecorderState;
using format::TargetState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Trace : public read::TraceVisitor {
 public:
  explicit Trace(const std::string& path) {
    const auto result = read::ReadTrace(path, *this);
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) summary = *result;
  }
  void OnHeader(format::trace::TraceHeader::Reader header) override {
    for (const auto argument : header.getArguments()) arguments.emplace_back(argument.cStr());
    runtime = header.getRuntimeName().cStr();
  }
  void OnModules(format::trace::ModuleList::Reader list) override {
    for (const auto module : list.getModules()) modules.emplace_back(module.getPath().cStr());
  }
  void OnMarks(format::trace::MarkList::Reader list) override {
    for (const auto mark : list.getMarks())
      marks.push_back(absl::StrCat(mark.getKind(), " ", mark.getText().cStr(), " ", mark.getEvent()));
    for (const auto thread : list.getThreads()) threads.emplace_back(thread.getName().cStr());
    for (const auto route : list.getRoutes()) routes.emplace_back(route.cStr());
  }
  void OnJsHeap(format::trace::JsHeapSamples::Reader samples) override {
    for (const auto sample : samples.getSamples()) js_heap.push_back(sample.getHeapUsed());
  }
  void OnMemory(format::trace::MemorySamples::Reader samples) override {
    for (const auto sample : samples.getSamples()) {
      rss.push_back(sample.getRss());
      has_categories = has_categories || sample.getCategories().size() > 0;
    }
  }
  void OnCounters(format::trace::Counters::Reader counters) override {
    allocations = counters.getAllocators()[0].getAllocations();
    unknown_frees = counters.getAllocators()[0].getUnknownFrees();
    overlaps = counters.getAllocators()[0].getOverlaps();
  }
  void OnFooter(format::trace::Footer::Reader footer) override {
    end_kind = footer.getEndKind();
    status = footer.getStatus();
    stop_reason = footer.getStopReason().cStr();
    recorder_rss = footer.getRecorderPeakRss();
  }
  void OnLiveBlocks(absl::Span<const read::LiveBlock> blocks) override { live += blocks.size(); }

  read::ReadSummary summary;
  std::vector<std::string> arguments, modules, marks, threads, routes;
  std::vector<std::uint64_t> js_heap, rss;
  bool has_categories = false;
  std::string runtime, stop_reason;
  std::uint64_t allocations = 0, unknown_frees = 0, overlaps = 0, live = 0, recorder_rss = 0;
  int end_kind = -1, status = -1;
};

class RecorderTest : public ::testing::Test {
 protected:
  RecorderTest() : path_(absl::StrCat(::testing::TempDir(), "/recorder.", getpid(), ".ltrace")) {}
  ~RecorderTest() override { unlink(path_.c_str()); }

  FakeSession::Options Options() const {
    FakeSession::Options options;
    options.pid = static_cast<std::uint32_t>(target_.pid());
    options.output = path_;
    return options;
  }
  static void AwaitState(FakeSession& session, RecorderState state) {
    while (session.header().recorder_state.load() < state) std::this_thread::yield();
  }

  const std::string path_;
  IdleProcess target_;
};

std::string Packed(const auto& record, std::string_view text) {
  std::string bytes(reinterpret_cast<const char*>(&record), sizeof(record));
  return bytes.append(text);
}

TEST_F(RecorderTest, RecordsASessionToItsEnd) {
  FakeSession session(Options());
  FakeThread thread = session.Thread(0);
  thread.AppendVariable(Op::kThreadStart, session.Now(), "main");
  format::ModuleRecord module{};
  module.path_bytes = 4;
  thread.AppendVariable(Op::kModule, session.Now(), Packed(module, "/x/y"));
  session.header().module_requests.store(1);
  session.header().target_state.store(TargetState::kStarting);
  absl::Status result;
  std::thread recorder([&] { result = Record(session.descriptor()); });
  AwaitState(session, RecorderState::kReady);
  EXPECT_EQ(session.header().modules_ready.load(), 1);
  session.header().target_state.store(TargetState::kRecording);
  thread.Alloc(session.Now(), 0x1000, 100);
  thread.AppendVariable(Op::kMark, session.Now(), Packed(format::MarkRecord{format::MarkKind::kPhase, 4}, "load"));
  thread.AppendVariable(Op::kRoute, session.Now(), "GET /");
  thread.Alloc(session.Now(), 0x2000, 100);
  thread.Free(session.Now(), 0x1000);
  thread.AppendVariable(Op::kJsHeap, session.Now(), Packed(format::JsHeapRecord{1, 2, 3, 4, 5}, ""));
  thread.AppendVariable(Op::kProcess, session.Now(),
                        Packed(format::ProcessRecord{format::ProcessEvent::kExit, 7, 0, 0}, ""));
  target_.Exit(7);
  recorder.join();
  EXPECT_TRUE(result.ok()) << result;
  EXPECT_EQ(session.header().recorder_state.load(), RecorderState::kFinished);
  const Trace trace(path_);
  EXPECT_TRUE(trace.summary.complete);
  EXPECT_EQ(trace.summary.damaged, 0);
  EXPECT_EQ(trace.summary.events, 3);
  EXPECT_THAT(trace.arguments, ElementsAre("victim", "--flag"));
  EXPECT_THAT(trace.modules, ElementsAre("/x/y"));
  EXPECT_THAT(trace.threads, ElementsAre("main"));
  EXPECT_THAT(trace.routes, ElementsAre("GET /"));
  EXPECT_THAT(trace.marks, ElementsAre("1 load 1", "19  3"));
  EXPECT_THAT(trace.js_heap, ElementsAre(1));
  EXPECT_FALSE(trace.rss.empty());
  EXPECT_TRUE(trace.has_categories);
  EXPECT_EQ(trace.allocations, 2);
  EXPECT_EQ(trace.live, 1);
  EXPECT_EQ(trace.end_kind, 1);
  EXPECT_EQ(trace.status, 7);
  EXPECT_EQ(trace.stop_reason, "");
  EXPECT_GT(trace.recorder_rss, 0);
}

TEST_F(RecorderTest, KeepsWhatWasPublishedBeforeAKill) {
  FakeSession session(Options());
  session.header().target_state.store(TargetState::kStarting);
  absl::Status result;
  std::thread recorder([&] { result = Record(session.descriptor()); });
  AwaitState(session, RecorderState::kReady);
  FakeThread thread = session.Thread(0);
  for (std::uint64_t i = 0; i < 50'000; ++i) thread.Alloc(session.Now(), 0x1000 + i * 16, 16);
  target_.Kill(SIGKILL);
  recorder.join();
  const Trace trace(path_);
  EXPECT_EQ(trace.summary.events, 50'000);
  EXPECT_EQ(trace.end_kind, 2);
  EXPECT_EQ(trace.status, SIGKILL);
}

TEST_F(RecorderTest, TellsTheLibraryWhenThereCanBeNoTrace) {
  FakeSession::Options options = Options();
  options.output = "/nonexistent/folder/x.ltrace";
  FakeSession session(options);
  const absl::Status result = Record(session.descriptor());
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(std::string(result.message()), HasSubstr("/nonexistent/folder/x.ltrace"));
  EXPECT_EQ(session.header().recorder_state.load(), RecorderState::kFailed);
}

TEST_F(RecorderTest, LeavesTheTraceOfAnotherProcessAlone) {
  const auto first = trace::TraceWriter::Create(path_);
  ASSERT_TRUE(first.ok());
  FakeSession session(Options());
  session.header().target_state.store(TargetState::kStopped);
  EXPECT_TRUE(Record(session.descriptor()).ok());
  std::string path = path_;
  path.insert(path.rfind('.'), absl::StrCat(".", target_.pid()));
  EXPECT_TRUE(Trace(path).summary.complete);
  unlink(path.c_str());
}

TEST_F(RecorderTest, EndsWithAReasonWhenTheDiskIsFull) {
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  FakeSession session(Options());
  session.header().target_state.store(TargetState::kStarting);
  FakeThread thread = session.Thread(0);
  absl::Status result;
  const rlimit tight{64 << 10, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  std::thread recorder([&] { result = Record(session.descriptor()); });
  AwaitState(session, RecorderState::kReady);
  // Different stacks without end, until the recorder has had enough.
  for (std::uint32_t i = 1; session.header().recorder_state.load() == RecorderState::kReady; ++i) {
    if (session.slot(0).head.load() - session.slot(0).tail.load() > 4096) continue;
    thread.Frame(session.Now(), 0, i * 0x9e37'79b9ull);
    thread.Alloc(session.Now(), 0x1000 + i * std::uint64_t{64}, i % 4096, i % format::SizeWord::kMaxNode);
  }
  recorder.join();
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(session.header().recorder_state.load(), RecorderState::kFailed);
  const Trace trace(path_);
  EXPECT_GT(trace.summary.events, 0);
  EXPECT_EQ(trace.summary.damaged, 0);
  EXPECT_TRUE(trace.summary.complete);
  EXPECT_THAT(trace.stop_reason, HasSubstr(path_));
}

TEST_F(RecorderTest, TreatsAStoppedLibraryAsTheEnd) {
  FakeSession session(Options());
  FakeThread thread = session.Thread(0);
  thread.Alloc(session.Now(), 0x1000, 100);
  session.header().stop_reason.store(format::StopReason::kTooManyThreads);
  session.header().target_state.store(TargetState::kStopped);
  EXPECT_TRUE(Record(session.descriptor()).ok());
  const Trace trace(path_);
  EXPECT_EQ(trace.summary.events, 1);
  EXPECT_EQ(trace.end_kind, 3);
  EXPECT_THAT(trace.stop_reason, HasSubstr("threads"));
}

// The target calls exec: its pid lives on, without the session's memory.
TEST_F(RecorderTest, EndsAtAnExec) {
  FakeSession session(Options());
  session.header().target_state.store(TargetState::kStarting);
  FakeThread thread = session.Thread(0);
  thread.AppendVariable(Op::kProcess, session.Now(),
                        Packed(format::ProcessRecord{format::ProcessEvent::kExec, 0, 5, 0}, "/bin/x"));
  EXPECT_TRUE(Record(session.descriptor()).ok());
  EXPECT_EQ(Trace(path_).end_kind, 4);
}

TEST_F(RecorderTest, RefusesWhatIsNoSession) {
  EXPECT_FALSE(Record(-1).ok());
  FakeSession session(Options());
  session.header().magic = 1;
  EXPECT_FALSE(Record(session.descriptor()).ok());
  session.header().magic = format::kSessionMagic;
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1} << 62, ~std::uint64_t{63}}) {
    const std::uint64_t right = session.header().rings_offset;
    session.header().rings_offset = offset;
    EXPECT_FALSE(Record(session.descriptor()).ok());
    session.header().rings_offset = right;
  }
}

}  // namespace
}  // namespace leaktrace::record
