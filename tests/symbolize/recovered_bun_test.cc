// Names that are recovered in released builds of Bun, held against what those builds do.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "analyzer/symbolize/recovered_names.h"

namespace leaktrace::symbolize {
namespace {

// The lines that a command prints.
std::vector<std::string> OutputOf(const std::string& command) {
  std::vector<std::string> lines;
  std::unique_ptr<FILE, int (*)(FILE*)> output(popen(command.c_str(), "r"), pclose);
  char line[1024];
  while (output != nullptr && std::fgets(line, sizeof line, output.get()) != nullptr) {
    lines.emplace_back(line);
    if (lines.back().back() == '\n') lines.back().pop_back();
  }
  return lines;
}

std::string Bun(const std::string& version) {
  const std::vector<std::string> lines = OutputOf(SOURCE_FOLDER "/scripts/get-runtime bun " + version);
  return lines.empty() ? "" : lines.back();
}

RecoveredNames Recover(const std::string& path) {
  const auto file = ElfFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? RecoveredNames::Recover(*file, {}) : RecoveredNames();
}

std::size_t Members(const RecoveredNames& names) {
  std::size_t count = 0;
  for (const RecoveredFunction& function : names.functions()) count += function.name[0] != '[' ? 1 : 0;
  return count;
}

TEST(RecoveredInBun, CountsOfFourVersions) {
  EXPECT_GE(Members(Recover(Bun("1.4.4"))), 3000u);
  EXPECT_GE(Members(Recover(Bun("1.3.14"))), 2500u);
  EXPECT_GE(Members(Recover(Bun("1.2.20"))), 2200u);
  EXPECT_GE(Members(Recover(Bun("1.2.13"))), 2200u);
}

TEST(RecoveredInBun, FunctionsAreDisjoint) {
  const RecoveredNames names = Recover(Bun("1.4.4"));
  std::uint64_t end = 0;
  for (const RecoveredFunction& function : names.functions()) {
    EXPECT_LT(function.begin, function.end) << function.name;
    EXPECT_GE(function.begin, end) << function.name;
    end = function.end;
  }
}

// Runs a program and tells, for each of its calls, whether it went through the function that is said to serve it. The
// program raises SIGUSR2 before each call; then a breakpoint is set on the function's first instruction. Only the main
// thread is traced.
class CallTracer {
 public:
  CallTracer(const std::string& program, const std::string& script, const std::string& calls) {
    pid_ = fork();
    if (pid_ != 0) return;
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execl(program.c_str(), program.c_str(), script.c_str(), calls.c_str(), nullptr);
    _exit(127);
  }
  ~CallTracer() {
    if (pid_ > 0 && !ended_) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  // For each function whether the call between its signal and the next one reached it; shorter if the program ended
  // before.
  std::vector<bool> Run(const std::vector<std::uint64_t>& functions) {
    std::vector<bool> reached;
    int status = 0;
    while (waitpid(pid_, &status, 0) == pid_) {
      if (!WIFSTOPPED(status)) {
        ended_ = true;
        break;
      }
      int deliver = WSTOPSIG(status);
      if (deliver == SIGUSR2) {
        deliver = 0;
        Clear();
        if (reached.size() < functions.size()) {
          reached.push_back(false);
          Set(functions[reached.size() - 1]);
        }
      } else if (deliver == SIGTRAP) {
        deliver = 0;
        if (AtBreakpoint()) reached.back() = true;
      }
      ptrace(PTRACE_CONT, pid_, nullptr, deliver);
    }
    return reached;
  }

 private:
  void Set(std::uint64_t address) {
    original_ = ptrace(PTRACE_PEEKTEXT, pid_, address, nullptr);
    address_ = address;
    ptrace(PTRACE_POKETEXT, pid_, address, (original_ & ~0xffl) | 0xcc);
  }
  void Clear() {
    if (address_ != 0) ptrace(PTRACE_POKETEXT, pid_, address_, original_);
    address_ = 0;
  }
  bool AtBreakpoint() {
    user_regs_struct registers{};
    ptrace(PTRACE_GETREGS, pid_, nullptr, &registers);
    if (address_ == 0 || registers.rip != address_ + 1) return false;
    registers.rip = address_;
    ptrace(PTRACE_SETREGS, pid_, nullptr, &registers);
    Clear();
    return true;
  }

  pid_t pid_ = -1;
  bool ended_ = false;
  std::uint64_t address_ = 0;
  long original_ = 0;
};

// Every one of the sample is the function that the engine calls for it.
TEST(RecoveredInBun, CallsReachTheFunctionsThatAreNamed) {
  const std::string bun = Bun("1.4.4");
  const std::string script = SOURCE_FOLDER "/tests/symbolize/recovered_calls.cjs";
  std::map<std::string, std::uint64_t> addresses;
  std::map<std::string, int> uses;
  const RecoveredNames recovered = Recover(bun);
  for (const RecoveredFunction& function : recovered.functions()) {
    // What is reached through a jump has the name of the function that jumps.
    if (function.evidence.substr(0, 5) == "only ") continue;
    addresses[function.name] = function.begin;
    ++uses[function.name];
  }
  std::vector<std::string> names;
  std::vector<std::uint64_t> functions;
  std::string indexes;
  const std::vector<std::string> calls = OutputOf(bun + " " + script);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_TRUE(addresses.contains(calls[i])) << calls[i] << " was not recovered";
    // Classes of one name in different modules (Session) cannot be told apart by it.
    if (uses[calls[i]] != 1) continue;
    names.push_back(calls[i]);
    functions.push_back(addresses[calls[i]]);
    indexes += (indexes.empty() ? "" : ",") + std::to_string(i);
  }
  ASSERT_GE(names.size(), 50u);
  const std::vector<bool> reached = CallTracer(bun, script, indexes).Run(functions);
  ASSERT_EQ(reached.size(), names.size())
      << "the program ended after " << names[reached.empty() ? 0 : reached.size() - 1];
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_TRUE(reached[i]) << names[i];
}

}  // namespace
}  // namespace leaktrace::symbolize
