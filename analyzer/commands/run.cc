#include "analyzer/commands/commands.h"

namespace leaktrace::commands {

void AddRun(CLI::App& app, int& exit_status) {
  auto* command = app.add_subcommand("run", "");
  command->callback([&exit_status] { exit_status = 2; });
}

}  // namespace leaktrace::commands
