// Runs a command as a child of this process: environment, signals and exit status as if it had been started directly.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace leaktrace::commands {

// NAME=VALUE strings. Sets NAME, replacing what it was.
void SetVariable(std::vector<std::string>& environment, const std::string& name, const std::string& value);
// "" where it is not set.
[[nodiscard]] std::string GetVariable(const std::vector<std::string>& environment, const std::string& name);
[[nodiscard]] std::vector<std::string> CurrentEnvironment();

class ChildProcess {
 public:
  // Starts `command` (looked up in PATH). From here to the end of Wait the calling thread, which must be the only one,
  // has the signals that are handed on blocked. The error says what to do; its code is kNotFound where there is no such
  // program, otherwise kPermissionDenied.
  static absl::StatusOr<ChildProcess> Start(const std::vector<std::string>& command,
                                            const std::vector<std::string>& environment);

  [[nodiscard]] int pid() const { return pid_; }

  // Waits for the end of the child, and hands on SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 meanwhile
  // (unless the terminal sent them: then the child has them already). Returns its exit status as shells do: 128 + n
  // after signal n.
  int Wait();

 private:
  explicit ChildProcess(int pid) : pid_(pid) {}
  int pid_;
};

}  // namespace leaktrace::commands
