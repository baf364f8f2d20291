#include "tests/e2e/trace_run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace leaktrace::e2e {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What `leaktrace wait` may take: the file is complete within 2 s of the target's end, and this machine may be busy.
constexpr std::chrono::seconds kRecorderLimit{60};

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<fs::path> TraceFiles(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file() && entry.path().extension() == ".ltrace") files.push_back(entry.path());
  }
  return files;
}

Trace ReadTrace(const fs::path& path) {
  Trace trace{path, json::object()};
  // 1: something was lost, which is the test's to judge.
  const CommandResult waited = RunLeaktrace({"wait", path});
  EXPECT_LE(waited.process.exit_status, 1) << path << ": " << waited.error;
  const CommandResult reported = RunLeaktrace({"report", path, "--json", "--top", "0"});
  EXPECT_LE(reported.process.exit_status, 1) << path << ": " << reported.error;
  json report = json::parse(reported.process.output, nullptr, /*allow_exceptions=*/false);
  if (report.is_object()) {
    trace.report = std::move(report);
  } else {
    ADD_FAILURE() << "leaktrace report " << path
                  << " printed no JSON object: " << reported.process.output.substr(0, 500) << reported.error;
  }
  return trace;
}

// The value at a pointer such as "/program/pid"; the fallback where it is absent or null, as facts are that nobody
// knows.
template <typename T>
T ValueAt(const json& object, const std::string& pointer, T fallback) {
  const json::json_pointer place(pointer);
  if (!object.contains(place) || object[place].is_null()) return fallback;
  return object[place].get<T>();
}

bool NamesFunction(const json& site, const std::string& function) {
  const auto stack = site.find("stack");
  if (stack == site.end()) return false;
  return std::any_of(stack->begin(), stack->end(), [&](const json& frame) {
    const auto name = frame.find("function");
    return name != frame.end() && name->is_string() && absl::StrContains(name->get_ref<const std::string&>(), function);
  });
}

SiteTotal Total(const json& report, const char* part, const std::string& function) {
  SiteTotal total;
  for (const json& site : report.value(json::json_pointer(absl::StrCat("/", part, "/sites")), json::array())) {
    if (!NamesFunction(site, function)) continue;
    total.bytes += site.value("bytes", std::int64_t{0});
    total.blocks += site.value("blocks", std::int64_t{0});
    total.allocations += site.value("allocations", std::int64_t{0});
    ++total.sites;
  }
  return total;
}

}  // namespace

TempDirectory::TempDirectory() {
  std::string name = (fs::temp_directory_path() / "leaktrace-test.XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error(absl::StrCat("cannot create ", name));
  path_ = name;
}

TempDirectory::~TempDirectory() {
  if (testing::Test::HasFailure()) {
    std::cerr << "kept for a look: " << path_ << "\n";
    return;
  }
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string Trace::executable() const {
  return fs::path(ValueAt(report, "/program/executable", std::string())).filename().string();
}
std::int64_t Trace::pid() const { return ValueAt(report, "/program/pid", std::int64_t{0}); }
SiteTotal Trace::Live(const std::string& function) const { return Total(report, "live", function); }
SiteTotal Trace::Mappings(const std::string& function) const { return Total(report, "mappings", function); }

const Trace& TraceRun::OnlyTrace() const {
  static const Trace kNone{{}, json::object()};
  EXPECT_EQ(traces.size(), 1u) << "stderr: " << error;
  return traces.size() == 1 ? traces.front() : kNone;
}

std::vector<const Trace*> TraceRun::TracesOf(const std::string& executable) const {
  std::vector<const Trace*> result;
  for (const Trace& trace : traces) {
    if (trace.executable() == executable) result.push_back(&trace);
  }
  return result;
}

TracedProcess::TracedProcess(const std::vector<std::string>& argv, const TraceOptions& options)
    : directory_(options.directory ? options.directory : std::make_shared<TempDirectory>()), limit_(options.limit) {
  ProcessOptions process{options.environment, directory_->path(), directory_->path() / "stderr"};
  // The tables of unwind rows and hooks that these runs prepare stay with this build.
  process.environment.emplace("XDG_CACHE_HOME", LEAKTRACE_TEST_CACHE);
  if (options.preload) process.environment.emplace("LD_PRELOAD", Library());
  process_ = std::make_unique<Process>(argv, process);
}

std::optional<pid_t> TracedProcess::FindRecorder() const {
  std::error_code ignored;
  for (const auto& process : fs::directory_iterator("/proc", ignored)) {
    pid_t pid;
    if (!absl::SimpleAtoi(process.path().filename().string(), &pid)) continue;
    if (fs::read_symlink(process.path() / "exe", ignored) != fs::canonical(Executable())) continue;
    for (const auto& descriptor : fs::directory_iterator(process.path() / "fd", ignored)) {
      const fs::path file = fs::read_symlink(descriptor.path(), ignored);
      if (absl::StartsWith(file.string(), directory().string())) return pid;
    }
  }
  return std::nullopt;
}

TraceRun TracedProcess::Finish() {
  TraceRun run;
  run.directory = directory_;
  run.process = process_->Finish(limit_);
  EXPECT_FALSE(run.process.timed_out) << "the program did not end";
  for (const fs::path& path : TraceFiles(directory())) run.traces.push_back(ReadTrace(path));
  std::sort(run.traces.begin(), run.traces.end(), [](const Trace& a, const Trace& b) { return a.pid() < b.pid(); });
  run.error = ReadFile(directory() / "stderr");
  return run;
}

TraceRun RunTraced(const std::vector<std::string>& argv, const TraceOptions& options) {
  return TracedProcess(argv, options).Finish();
}

CommandResult RunLeaktrace(const std::vector<std::string>& arguments, const fs::path& directory) {
  TempDirectory scratch;
  std::vector<std::string> argv = {Executable()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Process process(argv, {{}, directory, scratch.path() / "stderr"});
  CommandResult result{process.Finish(kRecorderLimit), {}};
  result.error = ReadFile(scratch.path() / "stderr");
  return result;
}

std::string Library() { return LEAKTRACE_LIBRARY; }
std::string Executable() { return LEAKTRACE_EXECUTABLE; }
std::string Victim(const std::string& name) { return absl::StrCat(LEAKTRACE_VICTIMS, "/", name); }
std::string Script(const std::string& name) { return absl::StrCat(LEAKTRACE_SOURCES, "/tests/victims/js/", name); }

std::string Runtime(const std::string& kind, const std::string& version) {
  Process process({absl::StrCat(LEAKTRACE_SOURCES, "/scripts/get-runtime"), kind, version}, {});
  const ProcessResult result = process.Finish(std::chrono::minutes(5));
  if (result.exit_status != 0) throw std::runtime_error(absl::StrCat("no ", kind, " ", version));
  return std::string(absl::StripTrailingAsciiWhitespace(result.output));
}

void ExpectClean(const Trace& trace) {
  const json integrity = trace.report.value("integrity", json::object());
  EXPECT_EQ(integrity.value("dropped", std::int64_t{-1}), 0);
  EXPECT_EQ(integrity.value("damaged_chunks", std::int64_t{-1}), 0);
  const json allocators = integrity.value("allocators", json::array());
  EXPECT_FALSE(allocators.empty());
  for (const json& allocator : allocators) {
    EXPECT_EQ(allocator.value("unknown_frees", std::int64_t{-1}), 0) << allocator;
    EXPECT_EQ(allocator.value("overlaps", std::int64_t{-1}), 0) << allocator;
  }
}

}  // namespace leaktrace::e2e
