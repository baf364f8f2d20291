#include "analyzer/report/folded.h"

#include <map>

#include "absl/strings/str_cat.h"

namespace leaktrace::report {
namespace {

// The format has no escapes: what separates is replaced.
void AppendFrame(std::string& stack, const symbolize::Line& line) {
  if (!stack.empty()) stack += ';';
  for (const char c : FrameText(line)) {
    if (c == ';') {
      stack += ':';
    } else {
      stack += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
}

}  // namespace

std::string Folded(const Profile& profile, Metric metric) {
  std::map<std::string, std::uint64_t> stacks;
  for (const Profile::Sample& sample : profile.samples) {
    const std::uint64_t value = sample.values[static_cast<std::size_t>(metric)];
    if (value == 0) continue;
    std::string text;
    for (auto location = sample.stack.rbegin(); location != sample.stack.rend(); ++location) {
      const auto& lines = profile.locations[*location].lines;
      for (auto line = lines.rbegin(); line != lines.rend(); ++line) AppendFrame(text, *line);
    }
    stacks[text.empty() ? "[no stack]" : text] += value;
  }
  std::string out;
  for (const auto& [stack, value] : stacks) absl::StrAppend(&out, stack, " ", value, "\n");
  return out;
}

}  // namespace leaktrace::report
