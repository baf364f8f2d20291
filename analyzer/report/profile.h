// What is exported: stacks with numbers. Plain data, from which each format is written by a function of its own.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analyzer/symbolize/symbolizer.h"

namespace leaktrace::report {

// The numbers of a stack. Growth is what was allocated during the load and lives after it.
enum class Metric : std::uint8_t {
  kLiveBytes,
  kLiveBlocks,
  kGrowthBytes,
  kGrowthBlocks,
  kAllocatedBytes,
  kAllocations,
};
inline constexpr std::size_t kMetrics = 6;

struct MetricInfo {
  const char* name;   // on the command line and in the files: "live-bytes"
  const char* title;  // "Live bytes"
  bool bytes;         // its unit is bytes; otherwise it counts blocks
};
[[nodiscard]] const MetricInfo& InfoOf(Metric metric);
[[nodiscard]] std::optional<Metric> MetricNamed(std::string_view name);

struct Profile {
  // A frame of a stack. Each has at least one line; several are functions that were inlined, innermost first.
  struct Location {
    std::uint32_t module = 0;  // index into modules, plus 1; 0 = none
    std::uint64_t address = 0;
    std::vector<symbolize::Line> lines;
  };
  struct Module {
    std::string path;
    std::string build_id;  // hexadecimal
    std::uint64_t begin = 0, end = 0;
  };
  struct Sample {
    std::vector<std::uint32_t> stack;  // indices into locations, innermost first; may be empty
    std::array<std::uint64_t, kMetrics> values{};
    std::string allocator, request_phase, route;  // "" = not known
  };

  std::string title;                 // the program
  std::uint64_t start_realtime = 0;  // ns since 1970
  std::uint64_t duration = 0;        // ns
  std::vector<Module> modules;
  std::vector<Location> locations;
  std::vector<Sample> samples;

  [[nodiscard]] std::uint64_t Total(Metric metric) const;
};

// What a line is called in formats that have one text for a frame: its name, for JavaScript with file and line.
[[nodiscard]] std::string FrameText(const symbolize::Line& line);

}  // namespace leaktrace::report
