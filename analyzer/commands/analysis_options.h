// The option --per, which several subcommands share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "analyzer/leak/verdict.h"

namespace leaktrace::commands {

// Adds --per=PHASE=COUNT. `per` outlives the application.
void AddPerOption(CLI::App& command, std::string& per);

// What was given, "" for none. Error: one line that says what is wrong with it.
[[nodiscard]] absl::StatusOr<leak::AnalysisOptions> ParseAnalysisOptions(const std::string& per);

}  // namespace leaktrace::commands
