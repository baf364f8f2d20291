// Measures what the library, the recorder and the report cost, as ratios to no tool in the same run. scripts/bench
// prepares what it needs.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/bench/measure.h"
#include "tests/bench/table.h"
#include "tests/e2e/trace_run.h"

namespace leaktrace::bench {
namespace {

namespace fs = std::filesystem;
using e2e::Process;
using e2e::TempDirectory;
using nlohmann::json;

enum class Tool { kNone, kLeaktrace, kHeaptrack };

struct Settings {
  std::string node;     // executable
  std::string express;  // folder of the package
  bool heaptrack = false;
  int rounds = 3;
  double scale = 1;  // of the amounts of work
};

// The run of `argv` under a tool, with what the tool writes in `directory`.
Run Under(Tool tool, std::vector<std::string> argv, const fs::path& directory) {
  Run run{std::move(argv), {}, directory};
  if (tool == Tool::kLeaktrace) {
    run.environment = {{"LD_PRELOAD", e2e::Library()}, {"LEAKTRACE_OUTPUT", directory / "trace.ltrace"}};
  } else if (tool == Tool::kHeaptrack) {
    run.argv.insert(run.argv.begin(), {"heaptrack", "-o", directory / "heaptrack"});
  }
  return run;
}

void RequireSuccess(const Cost& cost, const Run& run) {
  if (cost.exit_status != 0) throw std::runtime_error(absl::StrCat(run.argv[0], " ended with ", cost.exit_status));
}

// The first line that is a number and nothing else: heaptrack prints lines of its own around the program's.
double NumberIn(const std::string& output) {
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    double value;
    if (absl::SimpleAtod(line, &value)) return value;
  }
  throw std::runtime_error(absl::StrCat("no number in: ", output));
}

struct TraceFacts {
  double bytes_per_event = 0;
  double events = 0;
};

TraceFacts ReadTrace(const fs::path& path) {
  const auto report = e2e::RunLeaktrace({"report", path, "--json", "--top", "1"});
  const json facts = json::parse(report.process.output);
  const double events = facts["events"];
  return {facts["trace_bytes"].get<double>() / events, events};
}

void MeasureMalloc(const Settings& settings, int threads, std::vector<Result>& results) {
  const long pairs = static_cast<long>(4e6 * settings.scale / threads);
  const std::vector<std::string> argv = {e2e::Victim("malloc-load"), absl::StrCat(threads), absl::StrCat(pairs)};
  std::vector<double> cpu, wall, in_target, heaptrack_cpu, heaptrack_wall;
  TraceFacts facts;
  for (int i = 0; i < settings.rounds; ++i) {
    const auto measure = [&](Tool tool, TraceFacts* trace) {
      TempDirectory directory;
      const Run run = Under(tool, argv, directory.path());
      const Cost cost = Measure(run);
      RequireSuccess(cost, run);
      if (trace != nullptr) *trace = ReadTrace(directory.path() / "trace.ltrace");
      return cost;
    };
    const Cost plain = measure(Tool::kNone, nullptr);
    const Cost traced = measure(Tool::kLeaktrace, &facts);
    cpu.push_back(traced.tree_cpu / plain.tree_cpu);
    wall.push_back(NumberIn(traced.output) / NumberIn(plain.output));
    in_target.push_back((traced.program_cpu - plain.program_cpu) / static_cast<double>(pairs * threads) * 1e9);
    if (settings.heaptrack) {
      const Cost other = measure(Tool::kHeaptrack, nullptr);
      heaptrack_cpu.push_back(other.tree_cpu / plain.tree_cpu);
      heaptrack_wall.push_back(NumberIn(other.output) / NumberIn(plain.output));
    }
  }
  const auto beside = [&](const std::vector<double>& values) {
    return values.empty() ? std::nullopt : std::optional<double>(Median(values));
  };
  const std::string key = absl::StrCat("malloc.", threads, threads == 1 ? "_thread" : "_threads");
  const std::string title = absl::StrCat("malloc load, ", threads, threads == 1 ? " thread" : " threads");
  const bool one = threads == 1;
  results.push_back({key + ".cpu_ratio", title + ": CPU of target and recorder", Median(cpu), "x",
                     one ? std::optional(2.5) : std::nullopt, false, beside(heaptrack_cpu)});
  results.push_back({key + ".wall_ratio", title + ": wall time", Median(wall), "x",
                     one ? std::nullopt : std::optional(3.0), false, beside(heaptrack_wall)});
  if (one) {
    results.push_back(
        {key + ".in_target_ns", title + ": added in the target per malloc/free pair", Median(in_target), "ns", 60.0});
  }
  results.push_back({key + ".bytes_per_event", title + ": trace per event", facts.bytes_per_event, "bytes"});
}

// Runs the Google Benchmarks of hooks_benchmark.cc and returns CPU nanoseconds by name.
std::map<std::string, double> HookTimes(Tool tool) {
  TempDirectory directory;
  const Cost cost = Measure(Under(
      tool, {e2e::Victim("hooks-benchmark"), "--benchmark_format=json", "--benchmark_min_time=0.3"}, directory.path()));
  std::map<std::string, double> times;
  const json output = json::parse(cost.output);
  for (const json& benchmark : output["benchmarks"]) times[benchmark["name"]] = benchmark["cpu_time"];
  return times;
}

void MeasureHooks(const Settings&, std::vector<Result>& results) {
  const auto plain = HookTimes(Tool::kNone);
  const auto traced = HookTimes(Tool::kLeaktrace);
  for (const auto& [name, time] : traced) {
    results.push_back(
        {"hooks." + name, absl::StrCat("hook, ", name, ": added to a call"), time - plain.at(name), "ns"});
  }
}

struct ServerRun {
  double requests_per_second = 0;
  double program_cpu_per_request = 0;  // seconds
};

ServerRun Serve(const Settings& settings, Tool tool, const fs::path& directory) {
  Run run = Under(tool, {settings.node, std::string(LEAKTRACE_SOURCES) + "/tests/bench/express-server.cjs"}, directory);
  run.environment["EXPRESS"] = settings.express;
  ServerRun result;
  double requests = 0;
  run.meanwhile = [&](Process& server) {
    int port = 0;
    while (const auto line = server.ReadLine()) {
      if (absl::SimpleAtoi(*line, &port)) break;
    }
    const std::string url = absl::StrCat("http://127.0.0.1:", port, "/health");
    const auto load = [&](const char* duration) {
      Process wrk({"wrk", "-t1", "-c32", "-d", duration, url}, {});
      return wrk.Finish().output;
    };
    load("1s");  // until the code is compiled
    const std::string output = load(settings.scale < 1 ? "2s" : "5s");
    for (absl::string_view line : absl::StrSplit(output, '\n')) {
      const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (words.size() == 2 && words[0] == "Requests/sec:" && absl::SimpleAtod(words[1], &result.requests_per_second))
        continue;
      if (words.size() > 2 && words[1] == "requests" && absl::SimpleAtod(words[0], &requests)) continue;
    }
  };
  const Cost cost = Measure(run);
  if (requests > 0) result.program_cpu_per_request = cost.program_cpu / requests;
  return result;
}

void MeasureExpress(const Settings& settings, std::vector<Result>& results) {
  std::vector<double> kept, heaptrack_kept, bytes_per_event;
  double untraced = 0;
  for (int i = 0; i < settings.rounds; ++i) {
    TempDirectory directory, other;
    const ServerRun plain = Serve(settings, Tool::kNone, directory.path());
    const ServerRun traced = Serve(settings, Tool::kLeaktrace, directory.path());
    untraced = plain.requests_per_second;
    kept.push_back(traced.requests_per_second / plain.requests_per_second * 100);
    bytes_per_event.push_back(ReadTrace(directory.path() / "trace.ltrace").bytes_per_event);
    if (settings.heaptrack) {
      heaptrack_kept.push_back(Serve(settings, Tool::kHeaptrack, other.path()).requests_per_second /
                               plain.requests_per_second * 100);
    }
  }
  results.push_back(
      {"express.untraced_requests_per_second", "Express GET /health on Node: without a tool", untraced, "req/s"});
  results.push_back({"express.requests_kept", "Express GET /health on Node: requests per second kept", Median(kept),
                     "%", 85.0, true, heaptrack_kept.empty() ? std::nullopt : std::optional(Median(heaptrack_kept))});
  results.push_back({"express.bytes_per_event", "Express GET /health on Node: trace per event", Median(bytes_per_event),
                     "bytes", 3.0});
}

void MeasureStart(const Settings& settings, std::vector<Result>& results) {
  std::vector<double> first, cached;
  for (int i = 0; i < settings.rounds; ++i) {
    TempDirectory directory;
    const auto start = [&](Tool tool) {
      Run run = Under(tool, {settings.node, "-e", "0"}, directory.path());
      run.environment["XDG_CACHE_HOME"] = directory.path() / "cache";
      return Measure(run).wall_seconds * 1000;
    };
    start(Tool::kNone);  // the executable's pages are in memory
    const double plain = start(Tool::kNone);
    first.push_back(start(Tool::kLeaktrace) - plain);
    cached.push_back(start(Tool::kLeaktrace) - plain);
  }
  results.push_back(
      {"start.first_ms", "start of Node, the first time with a build: added", Median(first), "ms", 1500.0});
  results.push_back({"start.cached_ms", "start of Node, with its tables cached: added", Median(cached), "ms", 150.0});
}

void MeasureRecorder(const Settings& settings, std::vector<Result>& results) {
  TempDirectory directory;
  const long blocks = static_cast<long>(1e6 * settings.scale);
  Run run = Under(Tool::kLeaktrace, {e2e::Victim("hold"), absl::StrCat(blocks)}, directory.path());
  run.meanwhile = [](Process& process) { process.ReadLine(); };
  const Cost cost = Measure(run);
  results.push_back({"recorder.rss_mb", absl::StrCat("recorder, ", blocks, " live blocks: peak resident memory"),
                     static_cast<double>(cost.others_rss) / 1e6, "MB", 150.0});
}

void MeasureReport(const Settings& settings, std::vector<Result>& results) {
  TempDirectory directory;
  const long pairs = static_cast<long>(20e6 * settings.scale);
  const Run record = Under(Tool::kLeaktrace, {e2e::Victim("malloc-load"), "1", absl::StrCat(pairs)}, directory.path());
  RequireSuccess(Measure(record), record);
  const Run report{{e2e::Executable(), "report", directory.path() / "trace.ltrace", "--json"}, {}, directory.path()};
  const Cost cost = Measure(report);
  const std::string title = absl::StrCat("report of ", pairs, " malloc/free pairs: ");
  results.push_back({"report.seconds", title + "time", cost.wall_seconds, "s", 4.0});
  results.push_back({"report.rss_mb", title + "peak memory", static_cast<double>(cost.program_rss) / 1e6, "MB", 200.0});
}

struct Section {
  const char* name;
  std::function<void(const Settings&, std::vector<Result>&)> measure;
};

const std::vector<Section>& Sections() {
  static const std::vector<Section> sections = {
      {"malloc", [](const Settings& s, std::vector<Result>& r) { MeasureMalloc(s, 1, r), MeasureMalloc(s, 4, r); }},
      {"hooks", MeasureHooks},
      {"express", MeasureExpress},
      {"start", MeasureStart},
      {"recorder", MeasureRecorder},
      {"report", MeasureReport},
  };
  return sections;
}

}  // namespace
}  // namespace leaktrace::bench

int main(int argc, char** argv) {
  using namespace leaktrace::bench;
  CLI::App app{"Measures what leaktrace costs, as ratios to no tool in the same run"};
  Settings settings;
  std::string json;
  std::vector<std::string> only;
  app.add_option("--node", settings.node, "Node executable")->required();
  app.add_option("--express", settings.express, "Folder of the express package")->required();
  app.add_flag("--heaptrack", settings.heaptrack, "Measure heaptrack beside it");
  app.add_option("--rounds", settings.rounds, "Rounds; the median counts")->check(CLI::Range(1, 99));
  app.add_option("--scale", settings.scale, "Amount of work, 1 = as the goals say")->check(CLI::Range(0.01, 10.0));
  app.add_option("--json", json, "Write the results here");
  app.add_option("only", only, "Sections: malloc, hooks, express, start, recorder, report (default: all)");
  CLI11_PARSE(app, argc, argv);

  std::vector<Result> results;
  for (const Section& section : Sections()) {
    if (!only.empty() && std::find(only.begin(), only.end(), section.name) == only.end()) continue;
    std::cerr << "measuring " << section.name << "\n";
    try {
      section.measure(settings, results);
    } catch (const std::exception& error) {
      std::cerr << section.name << ": " << error.what() << "\n";
      return 2;
    }
  }
  std::cout << Table(results);
  if (!json.empty()) WriteJson(results, json);
  return 0;
}
