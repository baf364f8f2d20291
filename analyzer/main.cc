#include <CLI/CLI.hpp>

#include "analyzer/commands/commands.h"

int main(int argc, char** argv) {
  CLI::App app{"Finds native memory leaks in JavaScript server runtimes"};
  app.require_subcommand(1);
  app.set_version_flag("--version", LEAKTRACE_VERSION);
  int exit_status = 0;
  for (auto* add : {leaktrace::commands::AddRun, leaktrace::commands::AddRecord, leaktrace::commands::AddWait,
                    leaktrace::commands::AddReport, leaktrace::commands::AddDump, leaktrace::commands::AddHooks,
                    leaktrace::commands::AddBundle, leaktrace::commands::AddCheck, leaktrace::commands::AddDiff,
                    leaktrace::commands::AddExport, leaktrace::commands::AddHelp}) {
    add(app, exit_status);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : 2;
  }
  return exit_status;
}
