// Runs a program with all that it starts, and says what that cost.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/e2e/process.h"

namespace leaktrace::bench {

struct Cost {
  double wall_seconds = 0;       // of the program itself
  double program_cpu = 0;        // seconds of the program and of the children that it waited for
  double tree_cpu = 0;           // and of everything else that it left behind, such as a recorder
  std::int64_t program_rss = 0;  // peak, bytes
  std::int64_t others_rss = 0;   // peak of the largest of the others
  int exit_status = -1;
  std::string output;
};

struct Run {
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment = {};
  std::filesystem::path directory = {};
  // Called while the program runs; the program's stdin ends when it returns.
  std::function<void(e2e::Process&)> meanwhile = nullptr;
};

// Returns when the program and all its descendants have ended, detached ones too (this process becomes their reaper).
// One run at a time.
Cost Measure(const Run& run);

double Median(std::vector<double> values);

}  // namespace leaktrace::bench
