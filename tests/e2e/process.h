// A child process with its standard streams in the hands of a test. One thread uses a Process at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leaktrace::e2e {

struct ProcessOptions {
  std::map<std::string, std::string> environment =
      {};                                // added to the test's own, from which LD_PRELOAD and LEAKTRACE_* are taken out
  std::filesystem::path directory = {};  // working directory; empty: the test's own
  std::filesystem::path error_file = {};  // receives stderr; empty: the test's own stderr
};

struct ProcessResult {
  int exit_status = -1;  // -1: ended by a signal
  int signal = 0;
  bool timed_out = false;     // killed because the limit was reached
  std::string output;         // what ReadLine has not taken of stdout
  double cpu_seconds = 0;     // of the process and of the children that it waited for
  std::int64_t peak_rss = 0;  // bytes
};

class Process {
 public:
  // Starts argv[0] (searched in PATH where it holds no slash). A start that fails shows as exit status 127.
  Process(const std::vector<std::string>& argv, const ProcessOptions& options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  // kills the process if it still runs

  pid_t pid() const { return pid_; }

  // The next line of stdout without its newline; nothing at the end of the output and when the limit is reached.
  std::optional<std::string> ReadLine(std::chrono::milliseconds limit = std::chrono::seconds(60));

  void Write(std::string_view text);
  void CloseInput();
  void Signal(int number);

  // Closes stdin, reads what is left of stdout and reaps the process; kills it when the limit is reached.
  ProcessResult Finish(std::chrono::milliseconds limit = std::chrono::seconds(120));

 private:
  using Clock = std::chrono::steady_clock;

  // Takes what stdout has, waiting for it until the deadline or the process's end. False: nothing more will come, or
  // the deadline.
  bool Fill(Clock::time_point deadline);
  bool WaitForEnd(Clock::time_point deadline);

  pid_t pid_ = -1;
  int end_ = -1;  // pidfd
  int input_ = -1;
  int output_ = -1;
  std::string buffer_;
};

}  // namespace leaktrace::e2e
