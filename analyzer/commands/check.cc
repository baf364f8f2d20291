#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "analyzer/base/quantity.h"
#include "analyzer/commands/analysis_options.h"
#include "analyzer/commands/commands.h"
#include "analyzer/commands/common.h"
#include "analyzer/report/judgement.h"

namespace leaktrace::commands {
namespace {

struct Options {
  std::string trace, per, most, ignore_file;
  std::vector<std::string> ignored;
  report::NameOptions names;
};

// Adds a file's rules: a text on each line, lines that begin with '#' are comments.
absl::Status ReadRules(const std::string& path, std::vector<std::string>& rules) {
  std::ifstream file(path);
  if (!file)
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot be read; --ignore-file wants a file with a text on each line"));
  for (std::string line; std::getline(file, line);) {
    const std::string rule(absl::StripAsciiWhitespace(line));
    if (!rule.empty() && rule[0] != '#') rules.push_back(rule);
  }
  return absl::OkStatus();
}

bool IsIgnored(const model::TraceModel& model, const report::Names& names, const report::NamedSuspect& named,
               const std::vector<report::Filter>& rules) {
  for (const report::Filter& rule : rules) {
    if (rule.Matches(model, names, named.site.largest)) return true;
  }
  return false;
}

std::string Describe(const report::NamedSuspect& named) {
  const leak::Evidence& evidence = named.suspect.evidence;
  return absl::StrCat(FormatBytes(evidence.bytes_per_unit), " in ", FormatRate(evidence.blocks_per_unit),
                      " blocks per ", leak::UnitName(evidence.unit), "  ",
                      named.site.name.empty() ? "[no stack]" : named.site.name, "  (confidence ",
                      FormatShare(evidence.confidence), ")");
}

int Run(const Options& options) {
  const std::optional<double> most = ParseBytes(options.most);
  if (!most.has_value()) {
    return Fail(
        absl::StrCat("--max-growth-per-request '", options.most, "': expected bytes, for instance 100B or 2kB"));
  }
  const auto analysis = ParseAnalysisOptions(options.per);
  if (!analysis.ok()) return Fail(analysis.status());
  std::vector<std::string> texts = options.ignored;
  if (!options.ignore_file.empty()) {
    if (const absl::Status status = ReadRules(options.ignore_file, texts); !status.ok()) return Fail(status);
  }
  const std::vector<report::Filter> rules(texts.begin(), texts.end());
  const absl::StatusOr<model::TraceModel> model = Load(options.trace);
  if (!model.ok()) return Fail(model.status());
  const auto names = report::Names::Make(*model, options.names);
  if (!names.ok()) return Fail(names.status());
  const auto judgement = report::Judge(*model, **names, *analysis);
  if (!judgement.ok()) return Fail(absl::StrCat(options.trace, ": ", judgement.status().message()));
  const leak::Verdict& verdict = judgement->verdict;
  if (verdict.units <= 0) return Fail(absl::StrCat(options.trace, ": ", verdict.summary));

  double growth = 0;
  std::string suspects, ignored;
  for (const report::NamedSuspect& named : judgement->suspects) {
    if (named.suspect.evidence.kind != leak::Class::kLeak) continue;
    const bool skip = IsIgnored(*model, **names, named, rules);
    absl::StrAppend(skip ? &ignored : &suspects, skip ? "  ignored  " : "  leak     ", Describe(named), "\n");
    if (!skip) growth += named.suspect.evidence.growth_bytes / verdict.units;
  }
  const bool counted = verdict.unit != leak::Unit::kSecond;
  if (!suspects.empty() && !counted && *most > 0) {
    return Fail(absl::StrCat(options.trace, ": leaks ", FormatBytes(growth),
                             " per second, but no requests were counted; give the iterations with --per PHASE=COUNT"));
  }
  const bool leaks = !suspects.empty() && growth > *most;
  const std::string rate = absl::StrCat(FormatBytes(growth), " per ", leak::UnitName(verdict.unit));
  const std::string limit = *most > 0 ? absl::StrCat(" (allowed: ", FormatBytes(*most), ")") : "";
  std::string text = leaks ? absl::StrCat("leak: native memory grows by ", rate, limit, "\n")
                     : suspects.empty()
                         ? absl::StrCat("clean: no native leak", ignored.empty() ? "" : " that is not ignored", "\n")
                         : absl::StrCat("clean: native memory grows by ", rate, limit, "\n");
  absl::StrAppend(&text, suspects, ignored, "  verdict  ", verdict.summary, "\n");
  if (!Print(text)) return kUnusable;
  return leaks ? kAnswerIsLeak : kDone;
}

}  // namespace

void AddCheck(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("check", "Say by the exit status whether a trace shows a native leak: for CI");
  auto options = std::make_shared<Options>();
  options->most = "0";
  command->add_option("TRACE", options->trace, "A finished trace")->required();
  command
      ->add_option("--max-growth-per-request", options->most,
                   "What all leaks together may grow by for each request, or each iteration with --per (default 0)")
      ->type_name("BYTES");
  command
      ->add_option("--ignore", options->ignored,
                   "Ignore leaks whose stack has TEXT in a function, module or file; may be given several times")
      ->type_name("TEXT")
      ->take_all();
  command->add_option("--ignore-file", options->ignore_file, "A file with such texts, one on each line")
      ->type_name("FILE");
  AddPerOption(*command, options->per);
  AddNameOptions(*command, options->names);
  command->footer(
      "Exit status: 0 clean, 1 leak, 2 the trace cannot be used.\n"
      "Growth of the JavaScript heap is no native leak: it is reported, and the status is 0.\n"
      "Examples:\n"
      "  leaktrace check leaktrace.node.4242.ltrace --max-growth-per-request 100B\n"
      "  leaktrace check leaktrace.node.4242.ltrace --per load=20000 --ignore libvendor.so\n"
      "  leaktrace check leaktrace.node.4242.ltrace --ignore-file known-leaks.txt");
  command->callback([options, &exit_status] { exit_status = Run(*options); });
}

}  // namespace leaktrace::commands
