// The commands as a shell sees them: exit statuses, signals, what goes to which stream.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "analyzer/commands/trace_files.h"
#include "tests/model/synthetic_trace.h"

namespace leaktrace::commands {
namespace {

using ::leaktrace::testing::SyntheticTrace;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kReadTimeout = 60'000;  // ms

// A program to be run by the tests: says that it is ready, waits for SIGTERM, ends with status 9.
[[maybe_unused]] const bool kIsChild = [] {
  if (std::getenv("LEAKTRACE_COMMAND_TEST_CHILD") == nullptr) return false;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  if (write(STDOUT_FILENO, "ready\n", 6) != 6) _exit(1);
  int signal = 0;
  sigwait(&set, &signal);
  _exit(9);
}();

struct Result {
  int status = -1;  // 128 + n for signals
  std::string out, err;
};

class Command {
 public:
  Command(std::vector<std::string> arguments, std::vector<std::string> variables = {}) {
    arguments.insert(arguments.begin(), LEAKTRACE_EXECUTABLE);
    for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
    int out[2];
    int err[2];
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(err, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    EXPECT_EQ(posix_spawn(&pid_, arguments[0].c_str(), &actions, nullptr, Pointers(arguments).data(),
                          Pointers(variables).data()),
              0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    out_ = out[0];
    err_ = err[0];
  }

  void Signal(int signal) const { kill(pid_, signal); }
  void WaitForOutput(const std::string& text) {
    while (result_.out.find(text) == std::string::npos) {
      ASSERT_TRUE(Read()) << "ended without saying " << text << "; it said " << result_.out << result_.err;
    }
  }

  Result Finish() {
    while (Read()) {
    }
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    result_.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    close(out_);
    close(err_);
    return result_;
  }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    for (std::string& string : strings) pointers.push_back(string.data());
    pointers.push_back(nullptr);
    return pointers;
  }

  // False at the end of both streams.
  bool Read() {
    pollfd ready[2] = {{.fd = out_open_ ? out_ : -1, .events = POLLIN, .revents = 0},
                       {.fd = err_open_ ? err_ : -1, .events = POLLIN, .revents = 0}};
    if (!out_open_ && !err_open_) return false;
    if (poll(ready, 2, kReadTimeout) <= 0) {
      ADD_FAILURE() << "no output for a minute";
      kill(pid_, SIGKILL);
      return false;
    }
    char buffer[4096];
    for (int i = 0; i < 2; ++i) {
      if (ready[i].revents == 0) continue;
      const ssize_t count = read(ready[i].fd, buffer, sizeof(buffer));
      if (count <= 0) (i == 0 ? out_open_ : err_open_) = false;
      if (count > 0) (i == 0 ? result_.out : result_.err).append(buffer, static_cast<std::size_t>(count));
    }
    return true;
  }

  pid_t pid_ = 0;
  int out_ = -1, err_ = -1;
  bool out_open_ = true, err_open_ = true;
  Result result_;
};

// What is run need not be traced here; the end-to-end tests do that.
const std::vector<std::string> kUntraced = {"LEAKTRACE=0"};

Result Leaktrace(std::vector<std::string> arguments) { return Command(std::move(arguments), kUntraced).Finish(); }

std::string SmallTrace(const std::string& name) {
  SyntheticTrace trace(::testing::TempDir() + "/" + name + ".ltrace");
  const std::uint32_t kind = trace.Kind(trace.Stack({0x10}), 100);
  trace.Free(trace.Allocate(kind));
  trace.Allocate(kind);
  trace.Finish();
  return trace.path();
}

TEST(CommandTest, RunHandsOnTheExitStatus) {
  EXPECT_EQ(Leaktrace({"run", "-q", "--", "sh", "-c", "exit 3"}).status, 3);
  EXPECT_EQ(Leaktrace({"run", "-q", "--", "sh", "-c", "kill -KILL $$"}).status, 128 + SIGKILL);
  EXPECT_EQ(Leaktrace({"run", "-q", "true"}).status, 0);
}

TEST(CommandTest, RunPassesArgumentsAsTheyAre) {
  const Result result = Leaktrace({"run", "--", "sh", "-c", "echo \"$0 $1\"", "--json", "-o"});
  EXPECT_EQ(result.out, "--json -o\n");
  EXPECT_EQ(Leaktrace({"run", "echo", "-o", "--", "x"}).out, "-o -- x\n");
}

TEST(CommandTest, RunHandsOnSignals) {
  std::vector<std::string> variables = kUntraced;
  variables.emplace_back("LEAKTRACE_COMMAND_TEST_CHILD=1");
  Command command({"run", "-q", "--", std::filesystem::read_symlink("/proc/self/exe").string()}, variables);
  command.WaitForOutput("ready");
  command.Signal(SIGTERM);
  EXPECT_EQ(command.Finish().status, 9);
}

TEST(CommandTest, RunSaysWhatIsWrong) {
  EXPECT_EQ(Leaktrace({"run", "--", "/nonexistent/program"}).status, 127);
  EXPECT_EQ(Leaktrace({"run", "--", "/"}).status, 126);
  const Result nothing = Leaktrace({"run"});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_THAT(nothing.err, HasSubstr("leaktrace run -- node server.js"));
  const Result folder = Leaktrace({"run", "-o", "/nonexistent/x.ltrace", "--", "true"});
  EXPECT_EQ(folder.status, 2);
  EXPECT_THAT(folder.err, HasSubstr("/nonexistent is not a folder"));
}

TEST(CommandTest, ReportOnWhatIsNoTrace) {
  const Result missing = Leaktrace({"report", "/nonexistent.ltrace"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.err, HasSubstr("/nonexistent.ltrace"));
  EXPECT_THAT(missing.out, IsEmpty());
  EXPECT_EQ(Leaktrace({"report", LEAKTRACE_EXECUTABLE}).status, 2);
  EXPECT_EQ(Leaktrace({"report"}).status, 2);
  EXPECT_EQ(Leaktrace({"report", SmallTrace("wrong_sort"), "--sort", "colour"}).status, 2);
  EXPECT_EQ(Leaktrace({"no-such-command"}).status, 2);
}

TEST(CommandTest, ReportWritesJsonToStandardOutput) {
  const Result result = Leaktrace({"report", SmallTrace("command_json"), "--json"});
  EXPECT_EQ(result.status, 0);
  const nlohmann::json json = nlohmann::json::parse(result.out, nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["live"]["bytes"], 100);
}

TEST(CommandTest, ReportIsPlainWhereThereIsNoTerminal) {
  const Result result = Leaktrace({"report", SmallTrace("command_text")});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
  EXPECT_THAT(Leaktrace({"report", SmallTrace("command_text"), "--color", "always"}).out, HasSubstr("\x1b["));
}

TEST(CommandTest, DumpWritesALinePerThing) {
  const Result result = Leaktrace({"dump", SmallTrace("command_dump"), "--only", "event"});
  EXPECT_EQ(result.status, 0);
  std::istringstream lines(result.out);
  std::vector<std::string> operations;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(json.is_object()) << line;
    operations.push_back(json["operation"]);
  }
  EXPECT_EQ(operations, (std::vector<std::string>{"allocate", "free", "allocate"}));
}

TEST(CommandTest, DumpOfEverythingIsJson) {
  const Result result = Leaktrace({"dump", SmallTrace("command_dump_all")});
  std::istringstream lines(result.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_TRUE(nlohmann::json::parse(line, nullptr, false).contains("type")) << line;
  }
  EXPECT_EQ(count, 7);  // header, module, frame, three events, footer
}

TEST(CommandTest, WaitTellsWhetherATraceIsComplete) {
  EXPECT_EQ(Leaktrace({"wait", SmallTrace("command_wait")}).status, 0);
  SyntheticTrace unfinished(::testing::TempDir() + "/unfinished.ltrace");
  EXPECT_EQ(Leaktrace({"wait", unfinished.path(), "--timeout", "0.01"}).status, 1);
  unfinished.Abandon();
  const Result abandoned = Leaktrace({"wait", unfinished.path()});
  EXPECT_EQ(abandoned.status, 1);
  EXPECT_THAT(abandoned.err, HasSubstr("its recorder ended"));
  EXPECT_EQ(Leaktrace({"wait", "/nonexistent.ltrace"}).status, 2);
}

TEST(CommandTest, HelpHasExamples) {
  for (const char* command : {"run", "wait", "report", "dump", "help"}) {
    const Result result = Leaktrace({"help", command});
    EXPECT_EQ(result.status, 0);
    EXPECT_THAT(result.out, HasSubstr("Example")) << command;
    EXPECT_EQ(Leaktrace({command, "--help"}).out, result.out);
  }
  EXPECT_THAT(Leaktrace({"help", "environment"}).out, HasSubstr("LEAKTRACE_OUTPUT=PATH"));
  EXPECT_EQ(Leaktrace({"help", "nonsense"}).status, 2);
}

TEST(TraceFilesTest, MatchesPatterns) {
  EXPECT_TRUE(MatchesPattern("leaktrace.node.42.ltrace", "leaktrace.%e.%p.ltrace"));
  EXPECT_TRUE(MatchesPattern("leaktrace.my.app.42.ltrace", "leaktrace.%e.%p.ltrace"));
  EXPECT_FALSE(MatchesPattern("leaktrace.node.x.ltrace", "leaktrace.%e.%p.ltrace"));
  EXPECT_FALSE(MatchesPattern("leaktrace.node.42.ltrace.zst", "leaktrace.%e.%p.ltrace"));
  EXPECT_TRUE(MatchesPattern("100%.1.t", "100%%.%t.t"));
  EXPECT_TRUE(MatchesPattern("a.ltrace", "a.ltrace"));
  EXPECT_TRUE(MatchesPattern("a.77.ltrace", "a.ltrace"));
  EXPECT_FALSE(MatchesPattern("b.ltrace", "a.ltrace"));
}

}  // namespace
}  // namespace leaktrace::commands
