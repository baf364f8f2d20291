#include "tests/bench/table.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace leaktrace::bench {
namespace {

std::string Number(double value) {
  return value >= 1000 ? absl::StrFormat("%.0f", value) : absl::StrFormat("%.3g", value);
}

}  // namespace

bool ReachesGoal(const Result& result) {
  if (!result.goal) return true;
  return result.at_least ? result.value >= *result.goal : result.value <= *result.goal;
}

std::string Table(const std::vector<Result>& results) {
  std::string text = absl::StrFormat("%-66s %10s %-6s %12s  %10s\n", "", "leaktrace", "", "goal", "heaptrack");
  for (const Result& result : results) {
    std::string goal;
    if (result.goal) {
      goal = absl::StrCat(result.at_least ? ">= " : "<= ", Number(*result.goal), ReachesGoal(result) ? "" : " missed");
    }
    absl::StrAppend(&text, absl::StrFormat("%-66s %10s %-6s %12s  %10s\n", result.title, Number(result.value),
                                           result.unit, goal, result.heaptrack ? Number(*result.heaptrack) : ""));
  }
  return text;
}

void WriteJson(const std::vector<Result>& results, const std::filesystem::path& path) {
  nlohmann::ordered_json json;
  for (const Result& result : results) {
    nlohmann::ordered_json entry = {{"value", result.value}, {"unit", result.unit}};
    if (result.goal) {
      entry["goal"] = *result.goal;
      entry["reached"] = ReachesGoal(result);
    }
    if (result.heaptrack) entry["heaptrack"] = *result.heaptrack;
    json[result.name] = entry;
  }
  std::ofstream(path) << json.dump(2) << "\n";
}

}  // namespace leaktrace::bench
