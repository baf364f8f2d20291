// The results of a measurement: printed as a table, written as JSON.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace leaktrace::bench {

struct Result {
  std::string name;   // of the value in the JSON, e.g. "malloc.1_thread.cpu_ratio"
  std::string title;  // of the row in the table
  double value = 0;
  std::string unit;
  std::optional<double> goal = std::nullopt;
  bool at_least = false;                           // the goal is a lower bound, not an upper one
  std::optional<double> heaptrack = std::nullopt;  // the same, measured for heaptrack in the same run
};

bool ReachesGoal(const Result& result);

std::string Table(const std::vector<Result>& results);
void WriteJson(const std::vector<Result>& results, const std::filesystem::path& path);

}  // namespace leaktrace::bench
