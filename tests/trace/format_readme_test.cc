// The example bytes of format/README.md are what the README says they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "analyzer/read/trace_reader.h"
#include "tests/trace/example_trace.h"

namespace leaktrace {
namespace {

using ::testing::ElementsAre;

// The numbers of the README's one block of code that begins with "hex".
std::vector<std::uint8_t> ExampleBytes() {
  std::ifstream file(LEAKTRACE_FORMAT_README);
  std::vector<std::uint8_t> bytes;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```")) {
      inside = line == "```hex";
      continue;
    }
    if (!inside) continue;
    std::istringstream words(line.substr(0, line.find('|')));
    for (std::string word; words >> word;) bytes.push_back(static_cast<std::uint8_t>(std::stoul(word, nullptr, 16)));
  }
  return bytes;
}

class Collector : public read::TraceVisitor {
 public:
  void OnFrames(const read::FrameBatch& batch) override { values.assign(batch.values.begin(), batch.values.end()); }
  void OnKinds(const read::KindBatch& batch) override { sizes.assign(batch.sizes.begin(), batch.sizes.end()); }
  void OnEvents(const read::EventBatch& batch) override {
    operations.assign(batch.operations.begin(), batch.operations.end());
    event_sizes.assign(batch.sizes.begin(), batch.sizes.end());
    released.assign(batch.released.begin(), batch.released.end());
    start = batch.start_time;
  }

  std::vector<std::uint64_t> values, sizes, event_sizes, released;
  std::vector<trace::Operation> operations;
  std::uint64_t start = 0;
};

TEST(FormatReadme, ExampleBytesMeanWhatItSays) {
  Collector got;
  const auto summary = read::ReadTraceBytes(ExampleBytes(), "README", got);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->damaged, 0);
  EXPECT_EQ(summary->chunks, 3);
  EXPECT_THAT(got.values, ElementsAre(0x401000, 0x402000));
  EXPECT_THAT(got.sizes, ElementsAre(64, 0));
  EXPECT_THAT(got.operations,
              ElementsAre(trace::Operation::kAllocate, trace::Operation::kAllocate, trace::Operation::kFree));
  EXPECT_THAT(got.event_sizes, ElementsAre(64, 1000));
  EXPECT_THAT(got.released, ElementsAre(0));
  EXPECT_EQ(got.start, 5'000'000);
}

}  // namespace
}  // namespace leaktrace
