#include "analyzer/trace/trace_writer.h"

#include <capnp/message.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "absl/strings/str_cat.h"
#include "analyzer/read/trace_reader.h"
#include "format/trace.capnp.h"

namespace leaktrace::trace {
namespace {

using ::testing::HasSubstr;

class TraceWriterTest : public ::testing::Test {
 protected:
  ~TraceWriterTest() override { unlink(path_.c_str()); }

  static absl::Status AppendNote(TraceWriter& writer, std::size_t bytes) {
    capnp::MallocMessageBuilder message;
    message.initRoot<format::trace::MarkList>().initMarks(1)[0].setText(std::string(bytes, 'x'));
    return writer.Append(format::ChunkKind::kMarks, message);
  }
  std::uint64_t FileSize() const {
    struct stat facts {};
    return stat(path_.c_str(), &facts) == 0 ? static_cast<std::uint64_t>(facts.st_size) : 0;
  }

  const std::string path_ = absl::StrCat(::testing::TempDir(), "/writer.", getpid(), ".ltrace");
};

TEST_F(TraceWriterTest, NumbersChunksAndHoldsALock) {
  auto writer = TraceWriter::Create(path_);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(AppendNote(**writer, 10).ok());
  ASSERT_TRUE(AppendNote(**writer, 1000).ok());
  EXPECT_EQ((*writer)->chunks(), 2);
  EXPECT_EQ((*writer)->bytes(), FileSize());
  read::TraceVisitor nothing;
  EXPECT_TRUE(read::ReadTrace(path_, nothing)->being_written);
  writer->reset();
  EXPECT_FALSE(read::ReadTrace(path_, nothing)->being_written);
}

TEST_F(TraceWriterTest, SaysWhereItCannotCreate) {
  const auto writer = TraceWriter::Create("/nonexistent/folder/x.ltrace");
  ASSERT_FALSE(writer.ok());
  EXPECT_THAT(std::string(writer.status().message()), HasSubstr("/nonexistent/folder/x.ltrace"));
}

// A file that may grow no more ends with a whole chunk, and takes a footer still.
TEST_F(TraceWriterTest, TakesBackWhatDoesNotFit) {
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  auto writer = TraceWriter::Create(path_);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(AppendNote(**writer, 1000).ok());
  const std::uint64_t whole = FileSize();
  const rlimit tight{whole + 6000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const absl::Status failed = AppendNote(**writer, 100'000);
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(FileSize(), whole);
  EXPECT_FALSE(AppendNote(**writer, 3000).ok());
  capnp::MallocMessageBuilder footer;
  footer.initRoot<format::trace::Footer>().setStopReason(std::string(failed.message()));
  EXPECT_TRUE((*writer)->Append(format::ChunkKind::kFooter, footer).ok());
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(std::string(failed.message()), HasSubstr(path_));
  read::TraceVisitor nothing;
  const auto summary = read::ReadTrace(path_, nothing);
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->chunks, 2);
  EXPECT_EQ(summary->damaged, 0);
}

}  // namespace
}  // namespace leaktrace::trace
