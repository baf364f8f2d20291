#include <fstream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzer/commands/analysis_options.h"
#include "analyzer/commands/commands.h"
#include "analyzer/commands/common.h"
#include "analyzer/report/folded.h"
#include "analyzer/report/history.h"
#include "analyzer/report/make_profile.h"
#include "analyzer/report/pprof.h"
#include "analyzer/report/speedscope.h"

namespace leaktrace::commands {
namespace {

struct Options {
  std::string trace, format, output, per;
  std::string metric = "live-bytes";
  bool mappings = false;
  report::NameOptions names;
};

absl::StatusOr<std::string> Write(const Options& options, const report::Profile& profile, report::Metric metric) {
  if (options.format == "folded") return report::Folded(profile, metric);
  if (options.format == "speedscope") return report::Speedscope(profile, metric);
  return report::Pprof(profile, metric);
}

int Run(const Options& options) {
  const report::Metric metric = *report::MetricNamed(options.metric);
  const auto analysis = ParseAnalysisOptions(options.per);
  if (!analysis.ok()) return Fail(analysis.status());
  const absl::StatusOr<model::TraceModel> model = Load(options.trace);
  if (!model.ok()) return Fail(model.status());
  const auto names = report::Names::Make(*model, options.names);
  if (!names.ok()) return Fail(names.status());
  report::ProfileOptions profile_options{.mappings = options.mappings, .window = std::nullopt};
  const auto window = leak::ChooseWindow(report::MakeProcessHistory(*model), analysis->per);
  if (absl::IsNotFound(window.status())) return Fail(absl::StrCat(options.trace, ": ", window.status().message()));
  if (window.ok()) profile_options.window = *window;
  const auto text = Write(options, report::MakeProfile(*model, **names, profile_options), metric);
  if (!text.ok()) return Fail(text.status());
  if (options.output.empty()) return Print(*text) ? kDone : kUnusable;
  std::ofstream file(options.output, std::ios::binary);
  file << *text;
  file.close();
  if (!file) return Fail(absl::StrCat(options.output, ": cannot be written; name another file with -o"));
  return kDone;
}

}  // namespace

void AddExport(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("export", "Write the stacks of a trace for flamegraph.pl, speedscope or pprof");
  auto options = std::make_shared<Options>();
  command->add_option("TRACE", options->trace, "A trace, finished or still being written")->required();
  command->add_option("--format", options->format, "folded, speedscope or pprof")
      ->required()
      ->check(CLI::IsMember({"folded", "speedscope", "pprof"}));
  std::vector<std::string> metrics;
  for (std::size_t i = 0; i < report::kMetrics; ++i) {
    metrics.emplace_back(report::InfoOf(static_cast<report::Metric>(i)).name);
  }
  command
      ->add_option("--metric", options->metric,
                   "live-bytes (default), live-blocks, growth-bytes or growth-blocks (allocated in the load and alive "
                   "after it), allocated-bytes, allocations. speedscope and pprof files hold all, and show this one "
                   "first")
      ->check(CLI::IsMember(metrics).description(""))
      ->type_name("METRIC");
  command->add_option("-o,--output", options->output, "Write to this file (default: standard output)")
      ->type_name("FILE");
  command->add_flag("--mappings", options->mappings, "Of mappings (mmap) instead of heap blocks");
  AddPerOption(*command, options->per);
  AddNameOptions(*command, options->names);
  command->footer(
      "Examples:\n"
      "  leaktrace export leaktrace.node.4242.ltrace --format folded --metric growth-bytes | flamegraph.pl > leak.svg\n"
      "  leaktrace export leaktrace.node.4242.ltrace --format speedscope -o leak.speedscope.json\n"
      "  leaktrace export leaktrace.node.4242.ltrace --format pprof -o leak.pb.gz && go tool pprof -http=: leak.pb.gz");
  command->callback([options, &exit_status] { exit_status = Run(*options); });
}

}  // namespace leaktrace::commands
