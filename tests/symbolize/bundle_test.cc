#include "analyzer/symbolize/bundle.h"

#include <capnp/message.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "analyzer/read/trace_reader.h"
#include "analyzer/trace/trace_writer.h"
#include "tests/symbolize/victim_run.h"

namespace leaktrace::symbolize {
namespace {

using format::ChunkKind;

// What a bundle's reader sees.
struct Seen : read::TraceVisitor {
  void OnHeader(format::trace::TraceHeader::Reader header) override { executable = header.getExecutable().cStr(); }
  void OnSymbols(format::trace::SymbolTable::Reader table) override {
    for (const auto& frame : table.getFrames()) {
      std::string& text = functions[frame.getFrame()];
      for (const auto& line : frame.getLines())
        text += std::string(line.getFunction().cStr()) + ";" + line.getEvidence().cStr() + ";";
    }
  }
  void OnFooter(format::trace::Footer::Reader footer) override { end_time = footer.getEndTime(); }

  std::string executable;
  std::map<std::uint32_t, std::string> functions;
  std::uint64_t end_time = 0;
};

class BundleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto writer = trace::TraceWriter::Create(path_);
    ASSERT_TRUE(writer.ok());
    capnp::MallocMessageBuilder header;
    header.initRoot<format::trace::TraceHeader>().setExecutable("/bin/program");
    header.getRoot<format::trace::TraceHeader>().setFormatVersion(format::kTraceVersion);
    ASSERT_TRUE((*writer)->Append(ChunkKind::kHeader, header).ok());
    capnp::MallocMessageBuilder footer;
    footer.initRoot<format::trace::Footer>().setEndTime(42);
    ASSERT_TRUE((*writer)->Append(ChunkKind::kFooter, footer).ok());
  }

  Seen Read(const std::string& path) {
    Seen seen;
    const auto summary = read::ReadTrace(path, seen);
    EXPECT_TRUE(summary.ok()) << summary.status();
    if (summary.ok()) {
      EXPECT_TRUE(summary->complete);
      EXPECT_EQ(summary->damaged, 0u);
    }
    return seen;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "a.ltrace";
};

TEST_F(BundleTest, NamesComeBackAndTheRestStays) {
  std::vector<Line> lines(2);
  lines[0].function = "Inner";
  lines[1].function = "Outer";
  lines[1].evidence = "a table";
  ASSERT_TRUE(WriteBundle(path_, folder_ / "b.ltrace", {{7, lines}}).ok());
  const Seen seen = Read(folder_ / "b.ltrace");
  EXPECT_EQ(seen.executable, "/bin/program");
  EXPECT_EQ(seen.end_time, 42u);
  EXPECT_EQ(seen.functions, (std::map<std::uint32_t, std::string>{{7, "Inner;;Outer;a table;"}}));
}

TEST_F(BundleTest, InPlaceAndAgain) {
  std::vector<Line> lines(1);
  lines[0].function = "First";
  ASSERT_TRUE(WriteBundle(path_, path_, {{1, lines}}).ok());
  lines[0].function = "Second";
  ASSERT_TRUE(WriteBundle(path_, path_, {{2, lines}}).ok());
  EXPECT_EQ(Read(path_).functions, (std::map<std::uint32_t, std::string>{{2, "Second;;"}}));
}

TEST_F(BundleTest, ManyFramesTakeSeveralChunks) {
  std::vector<Line> lines(1);
  lines[0].function = std::string(1000, 'f');
  std::vector<BundledFrame> frames;
  for (std::uint32_t i = 1; i <= 40000; ++i) frames.push_back({i, lines});
  ASSERT_TRUE(WriteBundle(path_, path_, frames).ok());
  EXPECT_EQ(Read(path_).functions.size(), 40000u);
}

TEST_F(BundleTest, DamagedTraceIsLeftAlone) {
  std::string bytes;
  {
    std::ifstream file(path_, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  bytes[sizeof(format::ChunkHeader) + 3] ^= 1;
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  EXPECT_FALSE(WriteBundle(path_, path_, {}).ok());
  std::ifstream file(path_, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), bytes);
  EXPECT_FALSE(WriteBundle(folder_ / "none", folder_ / "b", {}).ok());
}

}  // namespace
}  // namespace leaktrace::symbolize
