// What several subcommands share: options, reading a trace with a progress bar, errors on stderr.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzer/base/terminal.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/report/names.h"

namespace leaktrace::commands {

inline constexpr int kDone = 0;
inline constexpr int kAnswerIsLeak = 1;
inline constexpr int kNotComplete = 1;  // some traces could not be read to their end
inline constexpr int kUnusable = 2;

// Prints "leaktrace: MESSAGE" on stderr, with a line end, and returns kUnusable.
int Fail(std::string_view message);
int Fail(const absl::Status& status);

// Adds --debug-dir, --debuginfod, --full-names and --rules. `options` outlives the application.
void AddNameOptions(CLI::App& command, report::NameOptions& options);
// Adds --color=auto|always|never.
void AddColourOption(CLI::App& command, ColourChoice& choice);

// Shows the progress on stderr.
[[nodiscard]] absl::StatusOr<model::TraceModel> Load(const std::string& path);

// Writes to stdout, to its end. False where that is not possible (a pipe whose reader is gone is fine: true).
bool Print(std::string_view text);

}  // namespace leaktrace::commands
