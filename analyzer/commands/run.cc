#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzer/base/quantity.h"
#include "analyzer/commands/child_process.h"
#include "analyzer/commands/commands.h"
#include "analyzer/commands/common.h"
#include "analyzer/commands/trace_files.h"

namespace leaktrace::commands {
namespace {

constexpr char kStandardOutput[] = "leaktrace.%e.%p.ltrace";
constexpr int kNotFound = 127;  // as shells
constexpr int kNotExecutable = 126;

// The recorder finishes within 2 s of the target's end; more only on a machine that is overloaded.
constexpr auto kLongestWait = std::chrono::seconds(60);

struct Options {
  std::string output;
  bool quiet = false;
  bool agent = true;
  bool collect_at_phases = true;
};

// The library lies beside this executable, wherever the two were put.
absl::StatusOr<std::string> FindLibrary() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::InternalError("cannot read /proc/self/exe: is /proc mounted?");
  const std::filesystem::path library = (self.parent_path() / "../lib/libleaktrace.so").lexically_normal();
  if (!std::filesystem::exists(library, error)) {
    return absl::NotFoundError(absl::StrCat(
        library.string(), " is missing: keep bin/leaktrace and lib/libleaktrace.so together as they were installed"));
  }
  if (library.string().find_first_of(": ") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        library.string(), ": LD_PRELOAD cannot name a path with a colon or a space: install leaktrace elsewhere"));
  }
  return library.string();
}

// Node and Bun load the agent before the program; each reads its own variable, and other programs read neither.
void LoadAgent(const std::string& library, std::vector<std::string>& environment) {
  const std::string agent = (std::filesystem::path(library).parent_path() / "leaktrace/agent.cjs").string();
  std::error_code error;
  if (!std::filesystem::exists(agent, error)) return;
  const std::string before = GetVariable(environment, "NODE_OPTIONS");
  SetVariable(environment, "NODE_OPTIONS", absl::StrCat(before, before.empty() ? "" : " ", "--require=", agent));
  // Known to every release of Bun since 1.2; BUN_OPTIONS is not.
  if (GetVariable(environment, "BUN_INSPECT_PRELOAD").empty()) SetVariable(environment, "BUN_INSPECT_PRELOAD", agent);
}

std::uint64_t RealtimeNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

std::string AbsolutePattern(const std::string& pattern) {
  return std::filesystem::absolute(pattern).lexically_normal().string();
}

bool IsAlive(std::uint32_t pid) { return kill(static_cast<pid_t>(pid), 0) == 0; }

// The traces that were begun after `start`, complete unless their process lives on.
std::vector<TraceFacts> CollectTraces(const std::string& pattern, std::uint64_t start, std::uint32_t child) {
  std::vector<TraceFacts> traces;
  for (const std::string& path : MatchingFiles(pattern)) {
    absl::StatusOr<TraceFacts> facts = ReadFacts(path);
    if (!facts.ok() || facts->start < start) continue;
    if (facts->state == TraceState::kBeingWritten && (facts->pid == child || !IsAlive(facts->pid))) {
      if (!WaitUntilWritten(path, kLongestWait))
        Fail(path + ": its recorder is still at work after a minute; `leaktrace wait` tells when it is done");
      if (absl::StatusOr<TraceFacts> again = ReadFacts(path); again.ok()) facts = std::move(again);
    }
    traces.push_back(*std::move(facts));
  }
  return traces;
}

void Summarize(const TraceFacts& facts) {
  std::vector<std::string> parts{FormatBytes(static_cast<double>(facts.bytes)), FormatCount(facts.events) + " events"};
  if (facts.live_blocks != 0) {
    parts.push_back(absl::StrCat(FormatBytes(static_cast<double>(facts.live_bytes)), " of native memory live in ",
                                 FormatCount(facts.live_blocks), " blocks when last sampled"));
  }
  if (!facts.stop_reason.empty()) parts.push_back("stopped early: " + facts.stop_reason);
  if (facts.state == TraceState::kBeingWritten) parts.push_back("its process is still running");
  if (facts.state == TraceState::kIncomplete) parts.push_back("its recorder did not finish");
  std::string path = facts.path;
  std::error_code error;
  const std::filesystem::path relative = std::filesystem::relative(path, error);
  if (!error && relative.string().size() < path.size() && relative.string().rfind("..", 0) != 0)
    path = relative.string();
  std::fprintf(stderr, "leaktrace: %s (%s)\n", path.c_str(), absl::StrJoin(parts, ", ").c_str());
  std::fprintf(stderr, "           leaktrace report %s\n", path.c_str());
}

int Run(const Options& options, const std::vector<std::string>& command) {
  const absl::StatusOr<std::string> library = FindLibrary();
  if (!library.ok()) return Fail(library.status());
  std::vector<std::string> environment = CurrentEnvironment();
  std::string pattern = options.output;
  if (pattern.empty()) pattern = GetVariable(environment, "LEAKTRACE_OUTPUT");
  if (pattern.empty()) pattern = kStandardOutput;
  // Absolute, because the command may change its working directory before its children write traces.
  pattern = AbsolutePattern(pattern);
  std::error_code error;
  const std::string folder = std::filesystem::path(pattern).parent_path().string();
  if (!std::filesystem::is_directory(folder, error))
    return Fail(folder + " is not a folder: create it, or choose another place with -o");
  SetVariable(environment, "LEAKTRACE_OUTPUT", pattern);
  const std::string preloaded = GetVariable(environment, "LD_PRELOAD");
  SetVariable(environment, "LD_PRELOAD", preloaded.empty() ? *library : absl::StrCat(*library, ":", preloaded));
  if (options.agent) LoadAgent(*library, environment);
  if (!options.collect_at_phases) SetVariable(environment, "LEAKTRACE_GC_AT_PHASES", "0");

  const std::uint64_t start = RealtimeNow();
  absl::StatusOr<ChildProcess> child = ChildProcess::Start(command, environment);
  if (!child.ok()) {
    Fail(child.status());
    return absl::IsNotFound(child.status()) ? kNotFound : kNotExecutable;
  }
  const int status = child->Wait();
  const std::vector<TraceFacts> traces = CollectTraces(pattern, start, static_cast<std::uint32_t>(child->pid()));
  if (traces.empty()) {
    Fail(absl::StrCat("no trace was written to ", pattern, ". Is ", command[0],
                      " statically linked, or no process that is traced by default? See `leaktrace help environment`, "
                      "LEAKTRACE_EXECUTABLES"));
  }
  if (!options.quiet) {
    for (const TraceFacts& facts : traces) Summarize(facts);
  }
  return status;
}

}  // namespace

void AddRun(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("run",
                                         "Run a command under the library and wait until its trace is complete: run "
                                         "[OPTIONS] [--] COMMAND [ARGUMENTS]...");
  auto options = std::make_shared<Options>();
  command
      ->add_option("-o,--output", options->output,
                   "Where the trace is written: %e is the executable's name, %p its process id, %t its start time "
                   "(default leaktrace.%e.%p.ltrace)")
      ->type_name("PATH");
  command->add_flag("-q,--quiet", options->quiet, "No summary at the end");
  command->add_flag(
      "--agent,!--no-agent", options->agent,
      "Load the JavaScript agent into Node and Bun (the default): it marks phases, samples the JavaScript "
      "heap and tells which route a request is for");
  command->add_flag("--gc-at-phases,!--no-gc-at-phases", options->collect_at_phases,
                    "The agent forces a full collection where a phase begins (the default)");
  command->prefix_command();
  command->footer(
      "The exit status is the command's, 128 + n after signal n. SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 "
      "are "
      "handed on. `leaktrace help environment` lists what else can be set.\n"
      "Examples:\n"
      "  leaktrace run -- node server.js\n"
      "  leaktrace run -o /tmp/server.ltrace -- bun index.ts\n"
      "  leaktrace run -- npm start");
  command->callback([command, options, &exit_status] {
    std::vector<std::string> words = command->remaining();
    if (words.empty() || words[0].empty()) {
      exit_status = Fail("no command given: leaktrace run -- node server.js");
    } else if (words[0][0] == '-') {
      exit_status = Fail(absl::StrCat("unknown option ", words[0], ": `leaktrace run --help` lists them"));
    } else {
      exit_status = Run(*options, words);
    }
  });
}

void RemoveCommandMark(CLI::App& app, std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] != "run") return;
  const CLI::App* command = app.get_subcommand("run");
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--") {
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
    if (word.empty() || word[0] != '-') return;
    const CLI::Option* option = command->get_option_no_throw(word);
    if (option != nullptr && option->get_expected_min() > 0) ++i;  // its value
  }
}

}  // namespace leaktrace::commands
