#include "analyzer/commands/child_process.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace leaktrace::commands {
namespace {

constexpr int kHandedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

sigset_t WatchedSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : kHandedOn) sigaddset(&set, signal);
  sigaddset(&set, SIGCHLD);
  return set;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings)
    pointers.push_back(const_cast<char*>(string.c_str()));  // NOLINT: posix_spawn
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

void SetVariable(std::vector<std::string>& environment, const std::string& name, const std::string& value) {
  std::erase_if(environment, [&](const std::string& entry) { return absl::StartsWith(entry, name + "="); });
  environment.push_back(absl::StrCat(name, "=", value));
}

std::string GetVariable(const std::vector<std::string>& environment, const std::string& name) {
  for (const std::string& entry : environment) {
    if (absl::StartsWith(entry, name + "=")) return entry.substr(name.size() + 1);
  }
  return "";
}

std::vector<std::string> CurrentEnvironment() {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  return environment;
}

absl::StatusOr<ChildProcess> ChildProcess::Start(const std::vector<std::string>& command,
                                                 const std::vector<std::string>& environment) {
  const sigset_t watched = WatchedSignals();
  sigset_t inherited;
  sigprocmask(SIG_BLOCK, &watched, &inherited);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &inherited);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, command[0].c_str(), nullptr, &attributes, Pointers(command).data(),
                                 Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return ChildProcess(pid);
  sigprocmask(SIG_SETMASK, &inherited, nullptr);
  const std::string message = absl::StrCat(command[0], ": ", std::strerror(error));  // NOLINT(concurrency-mt-unsafe)
  if (error == ENOENT) return absl::NotFoundError(message + "; is it installed and in PATH?");
  return absl::PermissionDeniedError(message + "; is it an executable file?");
}

int ChildProcess::Wait() {
  const sigset_t watched = WatchedSignals();
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(pid_, &status, WNOHANG);
    if (ended == pid_) {
      sigprocmask(SIG_UNBLOCK, &watched, nullptr);
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    siginfo_t info{};
    if (sigwaitinfo(&watched, &info) < 0 || info.si_signo == SIGCHLD) continue;
    const bool from_terminal = info.si_code == SI_KERNEL;
    if (!from_terminal) kill(pid_, info.si_signo);
  }
}

}  // namespace leaktrace::commands
