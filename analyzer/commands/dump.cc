#include "analyzer/commands/commands.h"

namespace leaktrace::commands {

void AddDump(CLI::App& app, int& exit_status) {
  auto* command = app.add_subcommand("dump", "");
  command->callback([&exit_status] { exit_status = 2; });
}

}  // namespace leaktrace::commands
