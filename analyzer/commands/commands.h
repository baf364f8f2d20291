// The subcommands of `leaktrace`, one file each. Each function adds its subcommand, with its options and examples, to
// the application and sets `exit_status` when it has run: 0 done, 1 the answer is "leak" or some traces could not be
// read, 2 wrong use or unusable input.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace leaktrace::commands {

void AddRun(CLI::App& app, int& exit_status);
void AddRecord(CLI::App& app, int& exit_status);
void AddWait(CLI::App& app, int& exit_status);
void AddReport(CLI::App& app, int& exit_status);
void AddDump(CLI::App& app, int& exit_status);
void AddHooks(CLI::App& app, int& exit_status);
void AddBundle(CLI::App& app, int& exit_status);
void AddCheck(CLI::App& app, int& exit_status);
void AddDiff(CLI::App& app, int& exit_status);
void AddExport(CLI::App& app, int& exit_status);
void AddMark(CLI::App& app, int& exit_status);
void AddHelp(CLI::App& app, int& exit_status);

// CLI11 hands what follows a `--` to the application instead of the subcommand. Takes the one out that parts `run` and
// its options from the command, so that the command is the first word that is no option; a later `--` is the command's
// own.
void RemoveCommandMark(CLI::App& app, std::vector<std::string>& arguments);

}  // namespace leaktrace::commands
