#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzer/commands/analysis_options.h"
#include "analyzer/commands/commands.h"
#include "analyzer/commands/common.h"
#include "analyzer/report/json.h"
#include "analyzer/report/judgement.h"
#include "analyzer/report/text.h"

namespace leaktrace::commands {
namespace {

struct Options {
  std::string trace;
  bool json = false;
  std::optional<std::size_t> top;
  std::size_t depth = 0;
  report::SiteOptions sites;
  std::string per;
  report::NameOptions names;
  ColourChoice colour = ColourChoice::kAuto;
};

constexpr std::size_t kTextSites = 10;
constexpr std::size_t kJsonSites = 50;

int Run(const Options& options) {
  const absl::StatusOr<model::TraceModel> model = Load(options.trace);
  if (!model.ok()) return Fail(model.status());
  const auto names = report::Names::Make(*model, options.names);
  if (!names.ok()) return Fail(names.status());
  const auto analysis = ParseAnalysisOptions(options.per);
  if (!analysis.ok()) return Fail(analysis.status());
  const absl::StatusOr<report::Judgement> judgement = report::Judge(*model, **names, *analysis);
  if (!judgement.ok()) return Fail(absl::StrCat(options.trace, ": ", judgement.status().message()));
  if (options.json) {
    const nlohmann::ordered_json json =
        report::MakeJson(*model, **names, *judgement,
                         {.top = options.top.value_or(kJsonSites), .depth = options.depth, .sites = options.sites});
    return Print(report::DumpJson(json, 2) + "\n") ? kDone : kUnusable;
  }
  const std::string text = report::MakeText(*model, **names, *judgement,
                                            {.terminal = DescribeTerminal(STDOUT_FILENO, options.colour),
                                             .top = options.top.value_or(kTextSites),
                                             .depth = options.depth,
                                             .sites = options.sites});
  return Print(text) ? kDone : kUnusable;
}

}  // namespace

void AddReport(CLI::App& app, int& exit_status) {
  static const std::map<std::string, report::Sort> kSorts = {{"bytes", report::Sort::kBytes},
                                                             {"blocks", report::Sort::kBlocks},
                                                             {"allocations", report::Sort::kAllocations},
                                                             {"allocated", report::Sort::kAllocated},
                                                             {"peak", report::Sort::kPeak}};
  static const std::map<std::string, report::Group> kGroups = {{"site", report::Group::kSite},
                                                               {"stack", report::Group::kStack}};
  CLI::App* command = app.add_subcommand("report", "Say what is live in a trace, and which call sites it came from");
  auto options = std::make_shared<Options>();
  command->add_option("TRACE", options->trace, "A trace, finished or still being written")->required();
  command->add_flag("--json", options->json, "One JSON object instead of text");
  command->add_option("--top", options->top, "Call sites of each list (default 10, as JSON 50); 0 = all")
      ->type_name("N");
  command
      ->add_option("--depth", options->depth,
                   "Lines of each stack; 0 = all (default in JSON), text leaves out runtime frames")
      ->type_name("N");
  command
      ->add_option(
          "--sort", options->sites.sort,
          "bytes (live, default), blocks (live), allocations, allocated (bytes ever) or peak (bytes at the peak)")
      ->transform(CLI::CheckedTransformer(kSorts).description(""))
      ->type_name("BY");
  command
      ->add_option(
          "--group", options->sites.group,
          "site: the same functions out to the first JavaScript function (default); stack: each call stack by itself")
      ->transform(CLI::CheckedTransformer(kGroups).description(""))
      ->type_name("BY");
  command
      ->add_option("--filter", options->sites.filters,
                   "Only stacks with TEXT in a function, module or file; !TEXT: without; allocator:, request:, route: "
                   "ask for those. "
                   "Several must all hold")
      ->type_name("TEXT")
      ->take_all();
  AddPerOption(*command, options->per);
  AddNameOptions(*command, options->names);
  AddColourOption(*command, options->colour);
  command->footer(
      "Examples:\n"
      "  leaktrace report leaktrace.node.4242.ltrace\n"
      "  leaktrace report leaktrace.node.4242.ltrace --per load=20000\n"
      "  leaktrace report leaktrace.node.4242.ltrace --top 3 --filter zlib\n"
      "  leaktrace report leaktrace.node.4242.ltrace --sort peak --filter '!node_modules'\n"
      "  leaktrace report leaktrace.node.4242.ltrace --json | jq '.live.sites[0]'");
  command->callback([options, &exit_status] { exit_status = Run(*options); });
}

}  // namespace leaktrace::commands
