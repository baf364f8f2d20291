// JavaScript stacks of traced processes against what the runtimes say themselves: Error.stack at the same places.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "analyzer/read/trace_reader.h"
#include "tests/e2e/trace_run.h"

namespace leaktrace {
namespace {

struct JsFrame {
  std::string name, file;
  std::uint32_t line = 0;  // of the call, 0 = not known
};

// The JavaScript frames of every block that has a size of its own.
class StackCollector : public read::TraceVisitor {
 public:
  explicit StackCollector(std::uint64_t first_size) : first_size_(first_size) {}

  void OnFrames(const read::FrameBatch& batch) override {
    frames_.resize(batch.first_id + batch.parents.size());
    for (std::size_t i = 0; i < batch.parents.size(); ++i) frames_[batch.first_id + i].parent = batch.parents[i];
  }
  void OnKinds(const read::KindBatch& batch) override {
    stacks_.resize(batch.first_id + batch.stacks.size());
    for (std::size_t i = 0; i < batch.stacks.size(); ++i) stacks_[batch.first_id + i] = batch.stacks[i];
  }
  void OnCode(format::trace::CodeNames::Reader code) override {
    for (const auto function : code.getFunctions()) {
      functions_[function.getId()] = {function.getName().cStr(),
                                      std::filesystem::path(function.getUrl().cStr()).filename(), function.getLine()};
    }
    for (const auto frame : code.getFrames()) names_[frame.getFrame()] = {frame.getFunction(), frame.getLine()};
  }
  void OnEvents(const read::EventBatch& batch) override {
    for (std::size_t i = 0; i < batch.sizes.size(); ++i) {
      if (batch.sizes[i] > first_size_ && batch.sizes[i] < first_size_ + 1'000'000)
        samples_[batch.sizes[i]] = stacks_[batch.kinds[i]];
    }
  }

  // Innermost first, only frames of the files that the sample has.
  std::vector<JsFrame> Stack(std::uint64_t size) const {
    std::vector<JsFrame> stack;
    const auto sample = samples_.find(size);
    if (sample == samples_.end()) return stack;
    for (std::uint32_t frame = sample->second; frame != 0; frame = frames_[frame].parent) {
      const auto name = names_.find(frame);
      if (name == names_.end()) continue;
      const auto function = functions_.find(name->second.first);
      if (function == functions_.end() || !function->second.file.ends_with(".js")) continue;
      stack.push_back({function->second.name, function->second.file, name->second.second});
    }
    return stack;
  }
  bool Has(std::uint64_t size) const { return samples_.count(size) != 0; }

 private:
  struct Frame {
    std::uint32_t parent = 0;
  };
  std::uint64_t first_size_;
  std::vector<Frame> frames_;
  std::vector<std::uint32_t> stacks_;
  std::map<std::uint32_t, JsFrame> functions_;
  std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> names_;
  std::map<std::uint64_t, std::uint32_t> samples_;
};

// "Object.generated1", "Array.generated1 [as x]", "new F": what the engine puts before a function's own name is left
// out.
std::string BareName(std::string name) {
  for (const char* prefix : {"new ", "async "}) {
    if (name.rfind(prefix, 0) == 0) name = name.substr(std::string(prefix).size());
  }
  if (const auto as = name.find(" [as "); as != std::string::npos) name.resize(as);
  if (const auto dot = name.rfind('.'); dot != std::string::npos) name = name.substr(dot + 1);
  return name == "<anonymous>" ? "" : name;
}

struct Score {
  int samples = 0, seen = 0, identical = 0, no_wrong_name = 0, frames = 0, right_file = 0, lines = 0, right_line = 0;
  std::string first_difference;
};

std::string Join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + " ";
  return text;
}

// True where every traced name stands in the truth in this order: frames may be missing (inlined, tail-called), none
// may be wrong.
bool IsSubsequence(const std::vector<std::string>& part, const std::vector<std::string>& whole) {
  std::size_t at = 0;
  for (const std::string& name : part) {
    while (at < whole.size() && whole[at] != name) ++at;
    if (at++ >= whole.size()) return false;
  }
  return true;
}

Score Compare(const std::string& runtime, const std::string& version, const std::string& mode) {
  Score score;
  const auto directory = std::make_shared<e2e::TempDirectory>();
  const std::string truth = (directory->path() / "truth.jsonl").string();
  std::vector<std::string> arguments = {e2e::Runtime(runtime, version)};
  if (runtime == "node") arguments.push_back("--expose-gc");
  for (const std::string& argument :
       {std::string(LEAKTRACE_SOURCES "/tests/js/truth/truth.cjs"), truth, std::string("6")})
    arguments.push_back(argument);
  const e2e::TraceRun run =
      e2e::RunTraced(arguments, {.environment = {{"LEAKTRACE_JS", mode}}, .directory = directory});
  const e2e::Trace& trace = run.OnlyTrace();
  StackCollector stacks(6'000'000);
  EXPECT_TRUE(read::ReadTrace(trace.path.string(), stacks).ok());
  std::ifstream file(truth);
  for (std::string line; std::getline(file, line);) {
    const auto sample = nlohmann::json::parse(line);
    ++score.samples;
    if (!stacks.Has(sample["size"])) continue;
    ++score.seen;
    // truth.cjs itself is left out: its functions have no names to compare.
    std::vector<JsFrame> traced;
    for (const JsFrame& frame : stacks.Stack(sample["size"])) {
      if (frame.file == "generated.js") traced.push_back(frame);
    }
    std::vector<std::string> expected_names, traced_names;
    std::vector<std::uint32_t> expected_lines;
    for (const auto& frame : sample["frames"]) {
      if (frame["file"] != "generated.js") continue;
      expected_names.push_back(BareName(frame["name"]));
      expected_lines.push_back(frame["line"]);
    }
    for (const JsFrame& frame : traced) traced_names.push_back(frame.name);
    if (IsSubsequence(traced_names, expected_names)) ++score.no_wrong_name;
    if (traced_names == expected_names) {
      ++score.identical;
      for (std::size_t i = 0; i < traced.size(); ++i) {
        ++score.frames;
        score.right_file += traced[i].file == "generated.js";
        score.lines += traced[i].line != 0;
        score.right_line += traced[i].line == expected_lines[i];
      }
    } else if (score.first_difference.empty()) {
      score.first_difference = "expected: " + Join(expected_names) + "\n  traced: " + Join(traced_names);
    }
  }
  std::printf("%s %s %s: %d samples, %d seen, %d identical, %d without a wrong name; %d frames, %d lines, %d right\n",
              runtime.c_str(), version.c_str(), mode.c_str(), score.samples, score.seen, score.identical,
              score.no_wrong_name, score.frames, score.lines, score.right_line);
  return score;
}

struct Case {
  const char* runtime;
  const char* version;
};
void PrintTo(const Case& runtime, std::ostream* out) { *out << runtime.runtime << " " << runtime.version; }

class JsTruth : public ::testing::TestWithParam<Case> {};

TEST_P(JsTruth, ExactModeIsIdenticalToErrorStack) {
  const Score score = Compare(GetParam().runtime, GetParam().version, "exact");
  EXPECT_GT(score.samples, 300);
  EXPECT_EQ(score.seen, score.samples);
  EXPECT_EQ(score.identical, score.samples) << score.first_difference;
  EXPECT_EQ(score.right_file, score.frames);
  if (std::string(GetParam().runtime) == "node") {
    EXPECT_GE(score.right_line, score.frames * 0.999);
  }
}

TEST_P(JsTruth, NamesModeHasNoWrongName) {
  const Score score = Compare(GetParam().runtime, GetParam().version, "names");
  EXPECT_EQ(score.seen, score.samples);
  EXPECT_EQ(score.no_wrong_name, score.samples) << score.first_difference;
  if (std::string(GetParam().runtime) == "node") {
    EXPECT_GE(score.identical, score.samples * 0.98) << score.first_difference;
  }
}

INSTANTIATE_TEST_SUITE_P(Node, JsTruth,
                         ::testing::Values(Case{"node", "20.20.2"}, Case{"node", "22.23.3"}, Case{"node", "24.21.0"},
                                           Case{"node", "26.10.0"}));
INSTANTIATE_TEST_SUITE_P(Bun, JsTruth,
                         ::testing::Values(Case{"bun", "1.2.13"}, Case{"bun", "1.2.20"}, Case{"bun", "1.3.14"},
                                           Case{"bun", "1.4.4"}));

}  // namespace
}  // namespace leaktrace
