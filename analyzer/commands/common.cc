#include "analyzer/commands/common.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>

#include "analyzer/base/progress.h"
#include "analyzer/model/load.h"

namespace leaktrace::commands {

int Fail(std::string_view message) {
  std::fprintf(stderr, "leaktrace: %.*s\n", static_cast<int>(message.size()), message.data());
  return kUnusable;
}

int Fail(const absl::Status& status) {
  const auto message = status.message();
  return Fail(std::string_view(message.data(), message.size()));
}

void AddNameOptions(CLI::App& command, report::NameOptions& options) {
  command
      .add_option("--debug-dir", options.symbols.debug_directories,
                  "Folder of separate debug files, searched before /usr/lib/debug")
      ->type_name("DIR");
  command.add_flag("--debuginfod", options.symbols.debuginfod,
                   "Ask debuginfod servers for debug files (DEBUGINFOD_URLS)");
  command.add_flag("--full-names", options.symbols.full_names, "Template arguments and parameter lists as they are");
  command.add_option("--rules", options.rule_files, "File of call-site rules that go before the built-in ones")
      ->type_name("FILE");
}

void AddColourOption(CLI::App& command, ColourChoice& choice) {
  static const std::map<std::string, ColourChoice> kChoices = {
      {"auto", ColourChoice::kAuto}, {"always", ColourChoice::kAlways}, {"never", ColourChoice::kNever}};
  command.add_option("--color", choice, "auto, always or never; auto heeds NO_COLOR")
      ->transform(CLI::CheckedTransformer(kChoices).description(""))
      ->type_name("WHEN");
}

absl::StatusOr<model::TraceModel> Load(const std::string& path) {
  Progress progress("reading " + std::filesystem::path(path).filename().string());
  return model::LoadTrace(
      path, {.progress = [&progress](std::uint64_t done, std::uint64_t total) { progress.Update(done, total); }});
}

bool Print(std::string_view text) {
  std::fflush(stdout);
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) return true;
    if (written <= 0) {
      Fail(std::string("standard output: ") + std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace leaktrace::commands
