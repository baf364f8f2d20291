#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzer/base/quantity.h"
#include "analyzer/base/terminal.h"
#include "analyzer/commands/analysis_options.h"
#include "analyzer/commands/commands.h"
#include "analyzer/commands/common.h"
#include "analyzer/report/comparison.h"
#include "analyzer/report/judgement.h"
#include "analyzer/report/style.h"

namespace leaktrace::commands {
namespace {

struct Options {
  std::string before, after, per;
  std::size_t top = 20;
  bool fail_on_growth = false;
  report::NameOptions names;
  ColourChoice colour = ColourChoice::kAuto;
};

// What the comparison needs of a trace, so that two models are never in memory at once.
struct Side {
  leak::Verdict verdict;
  std::vector<report::ComparedSite> sites;
  double leaks = 0;  // bytes per unit
};

std::string InnermostScript(const report::Names& names, model::FrameId stack) {
  for (const report::StackLine& at : names.Stack(stack)) {
    if (at.line->kind == symbolize::LineKind::kJs) return symbolize::DisplayName(*at.line);
  }
  return "";
}

absl::StatusOr<Side> ReadSide(const std::string& path, const Options& options, const leak::AnalysisOptions& analysis) {
  const absl::StatusOr<model::TraceModel> model = Load(path);
  if (!model.ok()) return model.status();
  const auto names = report::Names::Make(*model, options.names);
  if (!names.ok()) return names.status();
  auto judgement = report::Judge(*model, **names, analysis);
  if (!judgement.ok())
    return absl::Status(judgement.status().code(), absl::StrCat(path, ": ", judgement.status().message()));
  Side side;
  side.verdict = std::move(judgement->verdict);
  if (side.verdict.units <= 0) return absl::FailedPreconditionError(absl::StrCat(path, ": ", side.verdict.summary));
  for (const report::NamedSuspect& named : judgement->suspects) {
    const leak::Evidence& evidence = named.suspect.evidence;
    if (evidence.growth_bytes <= 0) continue;
    const double bytes = evidence.growth_bytes / side.verdict.units;
    if (evidence.kind == leak::Class::kLeak) side.leaks += bytes;
    side.sites.push_back({named.site.name.empty() ? "[no stack]" : named.site.name,
                          InnermostScript(**names, named.site.stack), evidence.kind, bytes,
                          evidence.growth_blocks / side.verdict.units});
  }
  return side;
}

class DiffText {
 public:
  DiffText(const Side& before, const Side& after, const Options& options)
      : before_(before),
        after_(after),
        options_(options),
        terminal_(DescribeTerminal(STDOUT_FILENO, options.colour)),
        style_(terminal_.colour) {}

  std::string Make() {
    Line("A  " + options_.before + "  " + leak::KindName(before_.verdict.kind));
    Line("B  " + options_.after + "  " + leak::KindName(after_.verdict.kind));
    if (before_.verdict.unit != after_.verdict.unit) {
      Line(absl::StrCat("A is measured per ", leak::UnitName(before_.verdict.unit), " and B per ",
                        leak::UnitName(after_.verdict.unit), ": give both the same with --per PHASE=COUNT"));
    }
    Line();
    Row("growth", "A", "B", absl::StrCat("per ", leak::UnitName(after_.verdict.unit)));
    Total("leaks", before_.leaks, after_.leaks);
    const auto part = [&](const char* name, std::optional<double> leak::Growth::*figure) {
      const auto& a = before_.verdict.growth.*figure;
      const auto& b = after_.verdict.growth.*figure;
      if (a.has_value() && b.has_value()) Total(name, *a / before_.verdict.units, *b / after_.verdict.units);
    };
    part("native blocks", &leak::Growth::native_live);
    part("JavaScript heap", &leak::Growth::js_heap);
    part("kept by the allocator", &leak::Growth::allocator);
    part("resident memory", &leak::Growth::rss);
    Line();
    Sites();
    return std::move(text_);
  }

 private:
  static constexpr std::size_t kNameWidth = 24, kFigureWidth = 12;

  void Line(std::string_view line = "") {
    text_.append(line);
    text_ += '\n';
  }
  void Row(const std::string& name, const std::string& a, const std::string& b, const std::string& change) {
    Line(absl::StrCat("  ", PadRight(name, kNameWidth), PadLeft(a, kFigureWidth), PadLeft(b, kFigureWidth),
                      PadLeft(change, kFigureWidth + 4)));
  }
  void Total(const std::string& name, double a, double b) {
    Row(name, FormatBytes(a), FormatBytes(b), FormatBytesChange(b - a));
  }

  void Sites() {
    const std::vector<report::ComparedRow> rows = report::Compare(before_.sites, after_.sites);
    std::size_t shown = 0, same = 0, more = 0;
    for (const report::ComparedRow& row : rows) {
      if (row.change == report::Change::kSame) {
        ++same;
      } else if (options_.top != 0 && shown == options_.top) {
        ++more;
      } else {
        ++shown;
        Site(row);
      }
    }
    if (shown == 0) Line("  No call site grows differently.");
    if (more > 0) Line(absl::StrCat("  ", more, " more differ (--top 0 shows all)"));
    if (same > 0) Line(absl::StrCat("  ", same, " call sites grow alike."));
  }

  void Site(const report::ComparedRow& row) {
    const std::string change = PadRight(report::ChangeName(row.change), 8);
    const bool worse = row.bytes_after > row.bytes_before;
    const std::string where = row.script.empty() ? row.name : absl::StrCat(row.name, ", called from ", row.script);
    Line(absl::StrCat("  ", worse ? style_.Warning(change) : style_.Green(change),
                      PadLeft(FormatBytes(row.bytes_before), kFigureWidth),
                      PadLeft(FormatBytes(row.bytes_after), kFigureWidth), "  ", PadRight(leak::ClassName(row.kind), 9),
                      Printable(where)));
  }

  const Side& before_;
  const Side& after_;
  const Options& options_;
  Terminal terminal_;
  report::Style style_;
  std::string text_;
};

// Whether what leaks in B, but not in A, is more than chance.
bool Grew(const Side& before, const Side& after) {
  return after.leaks - before.leaks >= std::max(1.0, 0.05 * before.leaks);
}

int Run(const Options& options) {
  const auto analysis = ParseAnalysisOptions(options.per);
  if (!analysis.ok()) return Fail(analysis.status());
  const absl::StatusOr<Side> before = ReadSide(options.before, options, *analysis);
  if (!before.ok()) return Fail(before.status());
  const absl::StatusOr<Side> after = ReadSide(options.after, options, *analysis);
  if (!after.ok()) return Fail(after.status());
  if (!Print(DiffText(*before, *after, options).Make())) return kUnusable;
  return options.fail_on_growth && Grew(*before, *after) ? kAnswerIsLeak : kDone;
}

}  // namespace

void AddDiff(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("diff", "Compare what grows in two traces, by call site");
  auto options = std::make_shared<Options>();
  command->add_option("A", options->before, "The trace to compare with")->required();
  command->add_option("B", options->after, "The trace of another version, configuration or runtime")->required();
  command->add_option("--top", options->top, "Call sites that differ (default 20); 0 = all")->type_name("N");
  command->add_flag("--fail-on-growth", options->fail_on_growth, "Exit with 1 if more leaks in B than in A");
  AddPerOption(*command, options->per);
  AddNameOptions(*command, options->names);
  AddColourOption(*command, options->colour);
  command->footer(
      "Figures are per request, per iteration with --per, else per second of the load.\n"
      "Exit status: 0 done, 1 more leaks in B (with --fail-on-growth), 2 a trace cannot be used.\n"
      "Examples:\n"
      "  leaktrace diff old.ltrace new.ltrace --fail-on-growth\n"
      "  leaktrace diff fetch.ltrace http.ltrace --per load=10000");
  command->callback([options, &exit_status] { exit_status = Run(*options); });
}

}  // namespace leaktrace::commands
