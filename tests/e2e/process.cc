#include "tests/e2e/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 declares its functions without regard to C++
}
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace leaktrace::e2e {
namespace {

std::vector<std::string> Environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (name == "LD_PRELOAD" || absl::StartsWith(name, "LEAKTRACE") || added.contains(name)) continue;
    result.push_back(text);
  }
  for (const auto& [name, value] : added) result.push_back(absl::StrCat(name, "=", value));
  return result;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

void Close(int& fd) {
  if (fd >= 0) close(std::exchange(fd, -1));
}

int MillisecondsUntil(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return left.count() < 0 ? 0 : static_cast<int>(left.count());
}

}  // namespace

Process::Process(const std::vector<std::string>& argv, const ProcessOptions& options) {
  int to_child[2], from_child[2];
  if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  input_ = to_child[1];
  output_ = from_child[0];
  fcntl(output_, F_SETFL, O_NONBLOCK);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
  if (!options.error_file.empty()) {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, options.error_file.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
  }
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);  // what this process was started with is not the child's
  // Write must not end the test when the child is gone, and the child must not inherit that.
  signal(SIGPIPE, SIG_IGN);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t restored;
  sigemptyset(&restored);
  sigaddset(&restored, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &restored);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  if (!options.directory.empty()) posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str());

  std::vector<std::string> arguments = argv;
  std::vector<std::string> environment = Environment(options.environment);
  const int error = posix_spawnp(&pid_, argv[0].c_str(), &actions, &attributes, Pointers(arguments).data(),
                                 Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(to_child[0]);
  close(from_child[1]);
  if (error != 0) throw std::runtime_error(absl::StrCat("cannot start ", argv[0], ": ", strerror(error)));
  end_ = pidfd_open(pid_, 0);
  if (end_ < 0) throw std::runtime_error(absl::StrCat("no pidfd: ", strerror(errno)));
}

Process::~Process() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Close(end_);
  Close(input_);
  Close(output_);
}

bool Process::Fill(Clock::time_point deadline) {
  for (;;) {
    // The end counts too: a grandchild may hold the other end of the pipe for as long as it likes.
    pollfd fds[] = {{output_, POLLIN, 0}, {end_, POLLIN, 0}};
    const int ready = poll(fds, 2, MillisecondsUntil(deadline));
    char chunk[1 << 16];
    const ssize_t count = read(output_, chunk, sizeof chunk);
    if (count > 0) {
      buffer_.append(chunk, static_cast<std::size_t>(count));
      return true;
    }
    const bool nothing_now = count < 0 && (errno == EAGAIN || errno == EINTR);
    if (ready == 0 || !nothing_now || (fds[1].revents & POLLIN)) return false;
  }
}

std::optional<std::string> Process::ReadLine(std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  std::size_t end;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    if (!Fill(deadline)) return std::nullopt;
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

void Process::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(input_, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;  // the reader is gone; its exit status tells
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

void Process::CloseInput() { Close(input_); }

void Process::Signal(int number) { kill(pid_, number); }

bool Process::WaitForEnd(Clock::time_point deadline) {
  pollfd fd = {end_, POLLIN, 0};
  int ready;
  while ((ready = poll(&fd, 1, MillisecondsUntil(deadline))) < 0 && errno == EINTR) {
  }
  return ready > 0;
}

ProcessResult Process::Finish(std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  ProcessResult result;
  CloseInput();
  while (Fill(deadline)) {
  }
  if (!WaitForEnd(deadline)) {
    result.timed_out = true;
    kill(pid_, SIGKILL);
  }
  int status = 0;
  rusage usage{};
  wait4(pid_, &status, 0, &usage);
  pid_ = -1;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  result.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  result.peak_rss = usage.ru_maxrss * std::int64_t{1024};
  if (WIFEXITED(status)) {
    result.exit_status = WEXITSTATUS(status);
  } else {
    result.signal = WTERMSIG(status);
  }
  result.output = std::move(buffer_);
  return result;
}

}  // namespace leaktrace::e2e
