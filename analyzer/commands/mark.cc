#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "analyzer/base/control_socket.h"
#include "analyzer/commands/commands.h"

namespace leaktrace::commands {
namespace {

struct Options {
  std::string name;
  int pid = 0;
  bool list = false;
};

int Mark(const Options& options) {
  if (options.list == !options.name.empty()) {
    std::cerr << "leaktrace mark: give the name of the phase that begins now, or --list\n";
    return 2;
  }
  if (options.list) {
    const auto answer = AskRecorder(options.pid, "list");
    if (answer.ok()) {
      std::cout << *answer;
      return 0;
    }
    std::cerr << "leaktrace mark: " << answer.status().message() << "\n";
    return 2;
  }
  const absl::Status status = MarkPhase(options.pid, options.name);
  if (!status.ok()) std::cerr << "leaktrace mark: " << status.message() << "\n";
  return status.ok() ? 0 : 2;
}

}  // namespace

void AddMark(CLI::App& app, int& exit_status) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("mark", "Begin a run phase in the trace of a process that is being recorded");
  command->add_option("NAME", options->name, "Name of the phase: warmup, load, settle, or any other");
  command->add_option("--pid", options->pid, "The recorded process")->required()->check(CLI::PositiveNumber);
  command->add_flag("--list", options->list, "Print the marks so far instead: seconds since the start, and name");
  command->footer(
      "Examples:\n"
      "  leaktrace mark load --pid 4242       from here on it is the phase `load`\n"
      "  leaktrace mark settle --pid 4242     ... and now `settle`\n"
      "  leaktrace mark --list --pid 4242");
  command->callback([options, &exit_status] { exit_status = Mark(*options); });
}

}  // namespace leaktrace::commands
