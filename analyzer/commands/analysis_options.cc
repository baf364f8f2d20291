#include "analyzer/commands/analysis_options.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace leaktrace::commands {

void AddPerOption(CLI::App& command, std::string& per) {
  command
      .add_option("--per", per,
                  "Divide the growth of a phase by a number of iterations: load=20000 (default: by the requests)")
      ->type_name("PHASE=COUNT");
}

absl::StatusOr<leak::AnalysisOptions> ParseAnalysisOptions(const std::string& per) {
  leak::AnalysisOptions options;
  if (per.empty()) return options;
  const absl::StatusOr<leak::Per> parsed = leak::ParsePer(per);
  if (!parsed.ok()) return absl::InvalidArgumentError(absl::StrCat("--per ", parsed.status().message()));
  options.per = *parsed;
  return options;
}

}  // namespace leaktrace::commands
