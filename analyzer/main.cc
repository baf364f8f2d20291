#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "analyzer/commands/commands.h"

int main(int argc, char** argv) {
  using namespace leaktrace::commands;  // NOLINT(google-build-using-namespace): the names of the subcommands
  CLI::App app{"Finds native memory leaks in JavaScript server runtimes", "leaktrace"};
  app.require_subcommand(1);
  app.set_version_flag("--version", LEAKTRACE_VERSION);
  app.footer(
      "Examples:\n"
      "  leaktrace run -- node server.js                    records leaktrace.node.PID.ltrace\n"
      "  leaktrace report leaktrace.node.4242.ltrace        says what is live, and where it was allocated\n"
      "`leaktrace help COMMAND` explains a command, `leaktrace help environment` the library's options.");
  int exit_status = 0;
  for (auto* add : {AddRun, AddRecord, AddWait, AddReport, AddDump, AddHooks, AddBundle, AddCheck, AddDiff, AddExport,
                    AddMark, AddHelp}) {
    add(app, exit_status);
  }
  std::vector<std::string> arguments(argv + 1, argv + argc);
  RemoveCommandMark(app, arguments);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
    std::fprintf(stderr, "leaktrace: %s; see `leaktrace --help`\n", error.what());
    return 2;
  }
  return exit_status;
}
