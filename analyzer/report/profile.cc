#include "analyzer/report/profile.h"

#include "absl/strings/str_cat.h"

namespace leaktrace::report {
namespace {

constexpr MetricInfo kInfo[kMetrics] = {
    {"live-bytes", "Live bytes", true},           {"live-blocks", "Live blocks", false},
    {"growth-bytes", "Growth in bytes", true},    {"growth-blocks", "Growth in blocks", false},
    {"allocated-bytes", "Allocated bytes", true}, {"allocations", "Allocations", false},
};

}  // namespace

const MetricInfo& InfoOf(Metric metric) { return kInfo[static_cast<std::size_t>(metric)]; }

std::optional<Metric> MetricNamed(std::string_view name) {
  for (std::size_t i = 0; i < kMetrics; ++i) {
    if (name == kInfo[i].name) return static_cast<Metric>(i);
  }
  return std::nullopt;
}

std::uint64_t Profile::Total(Metric metric) const {
  std::uint64_t total = 0;
  for (const Sample& sample : samples) total += sample.values[static_cast<std::size_t>(metric)];
  return total;
}

std::string FrameText(const symbolize::Line& line) {
  std::string text = symbolize::DisplayName(line);
  if (line.kind != symbolize::LineKind::kJs || line.file.empty()) return text;
  absl::StrAppend(&text, " ", line.file);
  if (line.line > 0) absl::StrAppend(&text, ":", line.line);
  return text;
}

}  // namespace leaktrace::report
