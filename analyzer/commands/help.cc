#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "analyzer/base/terminal.h"
#include "analyzer/commands/commands.h"
#include "analyzer/commands/common.h"
#include "format/options.h"

namespace leaktrace::commands {
namespace {

std::string EnvironmentHelp() {
  const Terminal terminal = DescribeTerminal(STDOUT_FILENO, ColourChoice::kNever);
  std::string text =
      "Options of the preloaded library, set as environment variables:\n"
      "  LD_PRELOAD=/path/to/lib/libleaktrace.so LEAKTRACE_OUTPUT=/tmp/%e.%p.ltrace node server.js\n";
  for (const format::OptionDescription& option : format::kOptions) {
    if (option.help[0] == '\0') continue;
    absl::StrAppend(&text, "\n", option.name, "=", option.values);
    if (option.standard[0] != '\0') absl::StrAppend(&text, "   (default ", option.standard, ")");
    absl::StrAppend(&text, "\n    ", Wrap(option.help, terminal.width - 4, 4), "\n");
  }
  return text;
}

int Run(CLI::App& app, const std::string& topic) {
  if (topic.empty()) return Print(app.help()) ? kDone : kUnusable;
  if (topic == "environment") return Print(EnvironmentHelp()) ? kDone : kUnusable;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == topic) return Print(command->help(app.get_name())) ? kDone : kUnusable;
  }
  return Fail(
      absl::StrCat("no help on ", topic, ": ask for a command (`leaktrace help` lists them) or for `environment`"));
}

}  // namespace

void AddHelp(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("help", "Explain a command, or the library's environment variables");
  auto topic = std::make_shared<std::string>();
  command->add_option("TOPIC", *topic, "A command, or environment");
  command->footer("Examples:\n  leaktrace help report\n  leaktrace help environment");
  command->callback([&app, topic, &exit_status] { exit_status = Run(app, *topic); });
}

}  // namespace leaktrace::commands
