#include "analyzer/report/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/model/synthetic_trace.h"
#include "tests/report/sample_trace.h"

namespace leaktrace::report {
namespace {

using ::leaktrace::testing::SyntheticTrace;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// The report behind the verdict, which has tests of its own. The size of the trace depends on the version of zstd.
std::string Body(std::string text) {
  const std::size_t header = text.find("node 24.0.0\n");
  if (header != std::string::npos) text.erase(0, header);
  const std::size_t begin = text.find("trace of ");
  const std::size_t end = text.find('\n', begin);
  if (begin != std::string::npos) text.replace(begin, end - begin, "trace of SIZE");
  return text;
}

// With LEAKTRACE_UPDATE_GOLDENS=1 in the environment, writes the file instead.
void ExpectGolden(const std::string& text, const std::string& name) {
  const std::string path = std::string(GOLDEN_DIRECTORY) + "/" + name;
  if (std::getenv("LEAKTRACE_UPDATE_GOLDENS") != nullptr) {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(text, expected.str()) << "differs from " << path;
}

TextOptions Options(std::size_t width, bool unicode = true) {
  TextOptions options;
  options.terminal = {.width = width, .colour = false, .unicode = unicode};
  return options;
}

std::string Render(const Sample& sample, const TextOptions& options) {
  const absl::StatusOr<Judgement> judgement = Judge(*sample.model, *sample.names, {});
  EXPECT_TRUE(judgement.ok()) << judgement.status().message();
  return MakeText(*sample.model, *sample.names, *judgement, options);
}

std::size_t LongestLine(const std::string& text) {
  std::istringstream lines(text);
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, TextWidth(line));
  return longest;
}

TEST(TextTest, GoldenAt80Columns) {
  const Sample sample = LoadSample(WriteSampleTrace("text80"));
  const std::string text = Render(sample, Options(80));
  EXPECT_LE(LongestLine(text), 80u);
  ExpectGolden(Body(text), "report_80.txt");
}

TEST(TextTest, GoldenAt120Columns) {
  const Sample sample = LoadSample(WriteSampleTrace("text120"));
  const std::string text = Render(sample, Options(120));
  EXPECT_LE(LongestLine(text), 120u);
  ExpectGolden(Body(text), "report_120.txt");
}

TEST(TextTest, GoldenWithoutUnicode) {
  const Sample sample = LoadSample(WriteSampleTrace("text_plain"));
  const std::string text = Render(sample, Options(80, /*unicode=*/false));
  EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
  ExpectGolden(Body(text), "report_plain.txt");
}

TEST(TextTest, ColourOnlyWhereAsked) {
  const Sample sample = LoadSample(WriteSampleTrace("text_colour"));
  TextOptions options = Options(100);
  EXPECT_THAT(Render(sample, options), Not(HasSubstr("\x1b[")));
  options.terminal.colour = true;
  EXPECT_THAT(Render(sample, options), HasSubstr("\x1b[1m"));
}

TEST(TextTest, TopAndDepth) {
  const Sample sample = LoadSample(WriteSampleTrace("text_top"));
  TextOptions options = Options(100);
  options.top = 1;
  options.depth = 1;
  const std::string text = Render(sample, options);
  EXPECT_THAT(text, HasSubstr("1 more: 1.23 MB in 300 blocks"));
  EXPECT_THAT(text, HasSubstr("server+0x6000"));
  EXPECT_THAT(text.substr(text.find("Native memory live")), Not(HasSubstr("server+0x5000")));
}

TEST(TextTest, WarnsFirstWhenCoverageIsLow) {
  SyntheticTrace trace(::testing::TempDir() + "/low_coverage.ltrace");
  trace.Allocate(trace.Kind(trace.Stack({0x10}), 8));
  trace.Counters({{.name = "libc", .allocations = 1000, .frees = 900, .unknown_frees = 40, .overlaps = 3}}, 7);
  trace.Finish();
  const Sample sample = LoadSample(trace.path());
  const std::string text = Render(sample, Options(100));
  EXPECT_THAT(text, StartsWith("WARNING Only 97.4 %"));
  EXPECT_THAT(text, HasSubstr("40 frees of unknown pointers, 3 overlaps, 7 events dropped"));
}

TEST(TextTest, NamesOfTheProgramCannotWriteToTheTerminal) {
  SyntheticTrace trace(::testing::TempDir() + "/control.ltrace");
  const std::uint32_t frame = trace.Frame(0, format::FrameKind::kJit, 0x7f0000001000);
  trace.JavaScript(frame, "evil\x1b]0;title\x07name", "/app/a\nb.js", 1);
  trace.Allocate(trace.Kind(frame, 8));
  trace.Finish();
  const Sample sample = LoadSample(trace.path());
  const std::string text = Render(sample, Options(100));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("/app/a b.js:1"));
}

TEST(TextTest, AnEmptyTraceHasAReport) {
  SyntheticTrace trace(::testing::TempDir() + "/empty.ltrace");
  trace.Finish();
  const Sample sample = LoadSample(trace.path());
  const std::string text = Render(sample, Options(80));
  EXPECT_THAT(text, HasSubstr("Native memory live at the end: 0 B in 0 blocks, 0 call sites"));
}

}  // namespace
}  // namespace leaktrace::report
