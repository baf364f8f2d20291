#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "analyzer/commands/commands.h"
#include "analyzer/commands/common.h"
#include "analyzer/commands/trace_files.h"

namespace leaktrace::commands {
namespace {

struct Options {
  std::string trace;
  double timeout = 0;  // seconds; 0 = none
};

constexpr auto kForever = std::chrono::hours(24 * 365);

int Run(const Options& options) {
  std::error_code error;
  if (!std::filesystem::exists(options.trace, error)) {
    return Fail(options.trace +
                ": no such file; the library names a trace leaktrace.EXECUTABLE.PID.ltrace unless LEAKTRACE_OUTPUT "
                "says otherwise");
  }
  const auto timeout = options.timeout > 0
                           ? std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout * 1000))
                           : std::chrono::milliseconds(kForever);
  if (!WaitUntilWritten(options.trace, timeout)) {
    Fail(absl::StrCat(options.trace, ": still being written after ", options.timeout, " s"));
    return kNotComplete;
  }
  const absl::StatusOr<TraceFacts> facts = ReadFacts(options.trace);
  if (!facts.ok()) return Fail(facts.status());
  if (facts->state == TraceState::kComplete) return kDone;
  Fail(options.trace + ": its recorder ended before the trace was complete; `leaktrace report` reads what is there");
  return kNotComplete;
}

}  // namespace

void AddWait(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("wait", "Wait until a trace is complete");
  auto options = std::make_shared<Options>();
  command->add_option("TRACE", options->trace, "A trace that is being written, or was")->required();
  command->add_option("--timeout", options->timeout, "Give up after so many seconds")
      ->type_name("S")
      ->check(CLI::PositiveNumber);
  command->footer(
      "Exit status: 0 the trace is complete; 1 it is not: still being written, or its recorder was killed; 2 it is no "
      "trace.\n"
      "Example:\n"
      "  kill $PID; leaktrace wait leaktrace.node.$PID.ltrace --timeout 10 && leaktrace report "
      "leaktrace.node.$PID.ltrace");
  command->callback([options, &exit_status] { exit_status = Run(*options); });
}

}  // namespace leaktrace::commands
