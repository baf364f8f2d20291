// Runs a program under the library as a user would, and reads what it recorded through `leaktrace report --json`.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/process.h"

namespace leaktrace::e2e {

// A folder that is removed with everything in it, unless the running test has failed: then its path is printed.
class TempDirectory {
 public:
  TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct SiteTotal {
  std::int64_t bytes = 0;
  std::int64_t blocks = 0;
  std::int64_t allocations = 0;
  int sites = 0;
};

struct Trace {
  std::filesystem::path path;
  nlohmann::json report;

  std::string executable() const;  // file name of the program
  std::int64_t pid() const;

  // What the sites with a frame of that function add up to. A name matches whole, without its parameters, or as a part
  // of a longer name.
  SiteTotal Live(const std::string& function) const;
  SiteTotal Mappings(const std::string& function) const;
};

struct TraceRun {
  std::shared_ptr<TempDirectory> directory;  // the program's working directory
  ProcessResult process;
  std::string error;          // the program's stderr
  std::vector<Trace> traces;  // by the start time of their processes

  // The only trace; fails the test and returns an empty one where there is none or more than one.
  const Trace& OnlyTrace() const;
  // All traces of programs with that file name.
  std::vector<const Trace*> TracesOf(const std::string& executable) const;
};

struct TraceOptions {
  std::map<std::string, std::string> environment = {};
  std::chrono::milliseconds limit = std::chrono::seconds(120);
  bool preload = true;                                 // false: the program sets LD_PRELOAD itself, where it wants it
  std::shared_ptr<TempDirectory> directory = nullptr;  // working directory; empty: a new one
};

// A traced program that runs. To act on it, use process(); then Finish.
class TracedProcess {
 public:
  TracedProcess(const std::vector<std::string>& argv, const TraceOptions& options = {});
  Process& process() { return *process_; }
  const std::filesystem::path& directory() const { return directory_->path(); }

  // The recorder that writes a trace into this run's directory; nothing where there is none.
  std::optional<pid_t> FindRecorder() const;

  // Waits for the program, then for its traces, and reads them.
  TraceRun Finish();

 private:
  std::shared_ptr<TempDirectory> directory_;
  std::chrono::milliseconds limit_;
  std::unique_ptr<Process> process_;
};

TraceRun RunTraced(const std::vector<std::string>& argv, const TraceOptions& options = {});

// Runs `leaktrace` with these arguments.
struct CommandResult {
  ProcessResult process;
  std::string error;
};
CommandResult RunLeaktrace(const std::vector<std::string>& arguments, const std::filesystem::path& directory = {});

// Paths of what was built, and of a released runtime, fetched where it is not in the cache.
std::string Library();
std::string Executable();
std::string Victim(const std::string& name);
std::string Script(const std::string& name);  // tests/victims/js/
std::string Runtime(const std::string& kind, const std::string& version);

// Fails the test unless the trace accounts for every event: no unknown free, no overlap, nothing dropped or damaged.
void ExpectClean(const Trace& trace);

}  // namespace leaktrace::e2e

// With the place of the call in the failure.
#define EXPECT_CLEAN(trace)               \
  do {                                    \
    SCOPED_TRACE((trace).path.string());  \
    ::leaktrace::e2e::ExpectClean(trace); \
  } while (false)
