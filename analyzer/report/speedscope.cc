#include "analyzer/report/speedscope.h"

#include <nlohmann/json.hpp>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace leaktrace::report {
namespace {

using Json = nlohmann::ordered_json;

// The frames of the file, each once.
class Frames {
 public:
  std::size_t IndexOf(const symbolize::Line& line) {
    const std::string name = symbolize::DisplayName(line);
    const auto [at, added] = indices_.try_emplace(std::make_tuple(name, line.file, line.line), json_.size());
    if (added) {
      Json frame = {{"name", name}};
      if (!line.file.empty()) frame["file"] = line.file;
      if (!line.file.empty() && line.line > 0) frame["line"] = line.line;
      json_.push_back(std::move(frame));
    }
    return at->second;
  }
  Json Take() { return std::move(json_); }

 private:
  absl::flat_hash_map<std::tuple<std::string, std::string, std::uint32_t>, std::size_t> indices_;
  Json json_ = Json::array();
};

}  // namespace

std::string Speedscope(const Profile& profile, Metric metric) {
  Frames frames;
  std::vector<Json> stacks;
  stacks.reserve(profile.samples.size());
  for (const Profile::Sample& sample : profile.samples) {
    Json stack = Json::array();
    for (auto location = sample.stack.rbegin(); location != sample.stack.rend(); ++location) {
      const auto& lines = profile.locations[*location].lines;
      for (auto line = lines.rbegin(); line != lines.rend(); ++line) stack.push_back(frames.IndexOf(*line));
    }
    stacks.push_back(std::move(stack));
  }
  Json profiles = Json::array();
  for (std::size_t i = 0; i < kMetrics; ++i) {
    const MetricInfo& info = InfoOf(static_cast<Metric>(i));
    Json samples = Json::array(), weights = Json::array();
    for (std::size_t sample = 0; sample < profile.samples.size(); ++sample) {
      const std::uint64_t value = profile.samples[sample].values[i];
      if (value == 0) continue;
      samples.push_back(stacks[sample]);
      weights.push_back(value);
    }
    profiles.push_back({{"type", "sampled"},
                        {"name", absl::StrCat(info.title, ": ", profile.title)},
                        {"unit", info.bytes ? "bytes" : "none"},
                        {"startValue", 0},
                        {"endValue", profile.Total(static_cast<Metric>(i))},
                        {"samples", std::move(samples)},
                        {"weights", std::move(weights)}});
  }
  const Json file = {{"$schema", "https://www.speedscope.app/file-format-schema.json"},
                     {"name", profile.title},
                     {"exporter", absl::StrCat("leaktrace@", LEAKTRACE_VERSION)},
                     {"activeProfileIndex", static_cast<std::size_t>(metric)},
                     {"shared", {{"frames", frames.Take()}}},
                     {"profiles", std::move(profiles)}};
  // Names come from files of others: what is no UTF-8 is replaced, not refused.
  return file.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace leaktrace::report
