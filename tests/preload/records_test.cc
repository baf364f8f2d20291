// The records that hooks write, one by one, and what becomes of the target when its recorder fails. The recorder is
// tests/preload/ring_recorder.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "format/ring.h"
#include "tests/e2e/trace_run.h"

namespace leaktrace::e2e {
namespace {

using format::BlockWord;
using format::EntryPoint;
using format::Op;
using format::SizeWord;

struct Record {
  unsigned slot = 0;
  std::uint64_t stamp = 0;
  Op op = Op::kNone;
  std::vector<std::uint64_t> words;  // after the first; empty for variable records

  std::uint64_t Address() const { return BlockWord::Address(words.at(0)); }
  EntryPoint Entry() const { return static_cast<EntryPoint>(BlockWord::Entry(words.at(0))); }
  std::uint64_t Size() const { return SizeWord::Size(words.at(1)); }
};

struct Recording {
  std::vector<Record> records;  // in the order of the rings
  std::string end;              // the last line
};

Recording Read(const std::filesystem::path& path) {
  Recording recording;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("end ")) {
      recording.end = line;
      break;
    }
    std::istringstream fields(line);
    Record record;
    unsigned op = 0;
    fields >> record.slot >> record.stamp >> op;
    record.op = static_cast<Op>(op);
    if (format::FixedWords(record.op) != 0) {
      for (std::uint64_t word = 0; fields >> std::hex >> word;) record.words.push_back(word);
    }
    recording.records.push_back(std::move(record));
  }
  return recording;
}

struct RecordedRun {
  ProcessResult process;
  std::string error;
  Recording recording;
};

RecordedRun RunRecorded(const std::vector<std::string>& argv, std::map<std::string, std::string> environment = {}) {
  const TempDirectory directory;
  const std::filesystem::path output = directory.path() / "records", error = directory.path() / "stderr";
  environment["LD_PRELOAD"] = Library();
  environment["LEAKTRACE_RECORDER"] = LEAKTRACE_RING_RECORDER;
  environment["LEAKTRACE_OUTPUT"] = output.string();
  RecordedRun run;
  Process process(argv, {.environment = environment, .directory = directory.path(), .error_file = error});
  run.process = process.Finish();
  // Locked by the recorder as long as it runs.
  if (const int file = open(output.c_str(), O_RDONLY); file >= 0) {
    flock(file, LOCK_SH);
    close(file);
    run.recording = Read(output);
  }
  std::stringstream text;
  text << std::ifstream(error).rdbuf();
  run.error = text.str();
  return run;
}

std::vector<Record> OfSize(const Recording& recording, std::uint64_t bytes) {
  std::vector<Record> found;
  for (const Record& record : recording.records) {
    if ((record.op == Op::kAlloc || record.op == Op::kReallocEnd) && record.Size() == bytes) found.push_back(record);
  }
  return found;
}

TEST(Records, EachFunctionIsNamed) {
  const RecordedRun run = RunRecorded({Victim("blocks")});
  ASSERT_EQ(run.process.exit_status, 0) << run.error;
  const std::pair<std::uint64_t, EntryPoint> expected[] = {
      {1001, EntryPoint::kMalloc},   {77, EntryPoint::kCalloc},         {1202, EntryPoint::kRealloc},
      {1301, EntryPoint::kMemalign}, {1408, EntryPoint::kAlignedAlloc}, {1501, EntryPoint::kPosixMemalign},
      {1601, EntryPoint::kValloc},   {1602, EntryPoint::kPvalloc},      {221, EntryPoint::kReallocarray},
  };
  for (const auto& [bytes, entry] : expected) {
    const std::vector<Record> found = OfSize(run.recording, bytes);
    ASSERT_FALSE(found.empty()) << bytes;
    EXPECT_EQ(found[0].Entry(), entry) << bytes;
    EXPECT_NE(SizeWord::Node(found[0].words[1]), 0u) << "a block has a stack";
  }
  EXPECT_EQ(run.recording.end, "end 2 0 1 0");
}

TEST(Records, OperatorsAreNamed) {
  const RecordedRun run = RunRecorded({Victim("operators")});
  ASSERT_EQ(run.process.exit_status, 0) << run.error;
  const std::pair<std::uint64_t, EntryPoint> expected[] = {
      {2001, EntryPoint::kNew},        {2002, EntryPoint::kNewArray},
      {2003, EntryPoint::kNewNothrow}, {2004, EntryPoint::kNewArrayNothrow},
      {2005, EntryPoint::kNewAligned}, {2006, EntryPoint::kNewArrayAligned},
  };
  for (const auto& [bytes, entry] : expected) {
    const std::vector<Record> found = OfSize(run.recording, bytes);
    ASSERT_FALSE(found.empty()) << bytes;
    EXPECT_EQ(found[0].Entry(), entry) << bytes;
  }
  EXPECT_EQ(OfSize(run.recording, 2001).size(), 4u) << "one event each, though operator new calls malloc";
  const auto deletes = std::ranges::count_if(run.recording.records, [](const Record& record) {
    return record.op == Op::kFree &&
           (record.Entry() == EntryPoint::kDelete || record.Entry() == EntryPoint::kDeleteArray);
  });
  EXPECT_EQ(deletes, 12);
}

// A resize is two records of one ring with nothing between, and a cancelled one leaves the block as it was.
TEST(Records, ResizesBeginAndEnd) {
  const RecordedRun run = RunRecorded({Victim("blocks")});
  const std::vector<Record>& records = run.recording.records;
  std::vector<std::uint64_t> ended;
  int cancelled = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].op != Op::kReallocBegin) continue;
    std::size_t next = i + 1;
    while (next < records.size() && records[next].op == Op::kFrame) ++next;
    ASSERT_LT(next, records.size());
    EXPECT_LE(records[i].stamp, records[next].stamp);
    if (records[next].op == Op::kReallocEnd) {
      ended.push_back(records[next].Size());
    } else {
      ASSERT_EQ(records[next].op, Op::kReallocCancel);
      ++cancelled;
    }
  }
  EXPECT_THAT(ended, testing::IsSupersetOf(std::vector<std::uint64_t>{60000, 1201, 221}));
  EXPECT_EQ(cancelled, 2);
}

TEST(Records, MappingsThatFailAreCancelled) {
  const RecordedRun run = RunRecorded({Victim("mappings")});
  ASSERT_EQ(run.process.exit_status, 0) << run.error;
  const auto count = [&run](Op op) {
    return std::ranges::count_if(run.recording.records, [op](const Record& record) { return record.op == op; });
  };
  EXPECT_EQ(count(Op::kMap), 10);
  EXPECT_EQ(count(Op::kUnmap), 3);
  EXPECT_EQ(count(Op::kUnmapCancel), 1);
  EXPECT_EQ(count(Op::kRemapBegin), 3);
  EXPECT_EQ(count(Op::kRemapEnd), 2);
  EXPECT_EQ(count(Op::kRemapCancel), 1);
  EXPECT_EQ(count(Op::kAdvise), 2);
}

TEST(Records, EveryThreadBeginsAndEnds) {
  const RecordedRun run = RunRecorded({Victim("moments"), "thread-end"});
  ASSERT_EQ(run.process.exit_status, 0) << run.error;
  std::map<unsigned, int> open;
  int started = 0;
  for (const Record& record : run.recording.records) {
    if (record.op == Op::kThreadStart) {
      ++started;
      EXPECT_EQ(++open[record.slot], 1) << "slot " << record.slot;
    } else if (record.op == Op::kThreadEnd) {
      EXPECT_EQ(--open[record.slot], 0) << "slot " << record.slot;
    } else {
      EXPECT_EQ(open[record.slot], 1) << "an event of no thread";
    }
  }
  EXPECT_GE(started, 6);
}

class FailingRecorder : public testing::TestWithParam<const char*> {};
// Small rings fill at once; the target must notice, say so, and finish its work.
TEST_P(FailingRecorder, TheTargetGoesOn) {
  const RecordedRun run =
      RunRecorded({Victim("exchange"), "4", "20000"}, {{"RING_RECORDER", GetParam()}, {"LEAKTRACE_RING", "64K"}});
  EXPECT_EQ(run.process.exit_status, 0);
  EXPECT_TRUE(run.error.starts_with("leaktrace: the recorder ")) << run.error;
  EXPECT_EQ(std::ranges::count(run.error, '\n'), 1) << run.error;
}
INSTANTIATE_TEST_SUITE_P(Records, FailingRecorder, testing::Values("die", "stall"));

}  // namespace
}  // namespace leaktrace::e2e
