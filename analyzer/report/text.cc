#include "analyzer/report/text.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "analyzer/base/quantity.h"
#include "analyzer/report/chart.h"
#include "analyzer/report/site_text.h"
#include "analyzer/report/style.h"
#include "analyzer/report/verdict_text.h"

namespace leaktrace::report {
namespace {

using model::TraceModel;

constexpr double kFullCoverage = 0.999;
constexpr std::size_t kMappingSites = 3;
constexpr std::size_t kSuspects = 3;

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? absl::StrCat("signal ", signal) : absl::StrCat("SIG", name);
}

std::string DescribeEnd(const TraceModel& model) {
  const model::End& end = model.end;
  if (!end.stop_reason.empty()) return absl::StrCat("recording stopped early: ", Printable(end.stop_reason));
  switch (end.kind) {
    case model::End::Kind::kExit:
      return absl::StrCat("exit status ", end.status);
    case model::End::Kind::kSignal:
      return absl::StrCat("killed by ", SignalName(end.status), end.out_of_memory_kill ? " (out of memory)" : "");
    case model::End::Kind::kExec:
      return "replaced by another program (exec)";
    case model::End::Kind::kRunning:
      return "still running";
    case model::End::Kind::kLost:
      break;
  }
  return "end not recorded";
}

// The runtime's name is enough for its executable; the program is its first argument that is no option.
std::string ProgramTitle(const model::Program& program) {
  const std::string executable = std::filesystem::path(program.executable).filename().string();
  std::string title = program.runtime_name.empty() || program.runtime_name == "native"
                          ? executable
                          : absl::StrCat(program.runtime_name, " ", program.runtime_version);
  for (std::size_t i = 1; i < program.arguments.size(); ++i) {
    if (program.arguments[i].empty() || program.arguments[i][0] == '-') continue;
    return absl::StrCat(title, "  ", std::filesystem::path(program.arguments[i]).filename().string());
  }
  return title;
}

class TextReport {
 public:
  TextReport(const TraceModel& model, Names& names, const Judgement& judgement, const TextOptions& options)
      : model_(model), names_(names), judgement_(judgement), options_(options), style_(options.terminal.colour) {}

  std::string Make() {
    Warnings();
    text_ += VerdictText(model_, names_, judgement_, options_.terminal,
                         options_.top == 0 ? 0 : std::min(options_.top, kSuspects));
    Header();
    Memory();
    Phases();
    Sites(/*mappings=*/false);
    Sites(/*mappings=*/true);
    IntegritySection();
    Notes();
    return std::move(text_);
  }

 private:
  void Line(std::string_view line = "") {
    text_.append(line);
    text_ += '\n';
  }
  void Paragraph(std::string_view paragraph) { Line("  " + Wrap(paragraph, options_.terminal.width - 2, 2)); }
  [[nodiscard]] std::string Dot() const { return options_.terminal.unicode ? " · " : ", "; }

  void Warnings() {
    const model::Integrity& integrity = model_.integrity;
    const double coverage = integrity.Coverage();
    std::vector<std::string> warnings;
    if (coverage < kFullCoverage) {
      warnings.push_back(
          absl::StrCat("Only ", FormatShare(coverage),
                       " of the allocator's events are accounted for: what is shown as live may have been freed, "
                       "and some of what is live may be missing. The integrity section below says where."));
    }
    for (const model::AllocatorIntegrity& allocator : integrity.allocators) {
      if (allocator.complete) continue;
      warnings.push_back(absl::StrCat("The allocator ", allocator.name, " is not hooked completely",
                                      allocator.state.empty() ? "" : ": ", Printable(allocator.state)));
    }
    if (integrity.damaged_chunks != 0) {
      warnings.push_back(absl::StrCat("The trace is damaged in ", FormatCountOf(integrity.damaged_chunks, "place"),
                                      "; ", FormatCountOf(integrity.lost_events, "event"), " lost, the rest was read"));
    }
    if (!model_.end.stop_reason.empty()) {
      warnings.push_back(absl::StrCat("Recording stopped before the program did: ", Printable(model_.end.stop_reason)));
    }
    if (warnings.empty()) return;
    for (const std::string& warning : warnings) {
      const std::string wrapped = Wrap("WARNING " + warning, options_.terminal.width, 8);
      Line(style_.Warning(wrapped.substr(0, 7)) + wrapped.substr(7));
    }
    Line();
  }

  void Header() {
    const model::Program& program = model_.program;
    const std::size_t width = options_.terminal.width;
    Line(style_.Bold(ElideEnd(Printable(ProgramTitle(program)), width, options_.terminal.unicode)));
    const std::string command = Printable(absl::StrJoin(program.arguments, " "));
    if (!command.empty()) Line("  " + style_.Dim(ElideEnd(command, width - 2, options_.terminal.unicode)));
    std::vector<std::string> facts{absl::StrCat("pid ", program.pid)};
    if (program.start_realtime != 0) {
      const absl::Time start = absl::FromUnixNanos(static_cast<std::int64_t>(program.start_realtime));
      facts.push_back(absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", start, absl::UTCTimeZone()));
    }
    facts.push_back("ran " + FormatDuration(model_.duration));
    facts.push_back(DescribeEnd(model_));
    Paragraph(absl::StrJoin(facts, Dot()));
    facts.clear();
    if (model_.saw_server) facts.push_back(FormatCountOf(model_.requests, "request"));
    facts.push_back(FormatCountOf(model_.thread_count, "thread"));
    facts.push_back(FormatCountOf(model_.events, "event"));
    facts.push_back("trace of " + FormatBytes(static_cast<double>(model_.trace_bytes)));
    Paragraph(absl::StrJoin(facts, Dot()));
    Line();
  }

  void Memory() {
    const std::string chart = MemoryChart(model_, options_.terminal);
    Line(style_.Bold("Memory over time"));
    if (chart.empty()) {
      Paragraph("The program ran too briefly for memory samples.");
    } else {
      text_ += chart;
    }
    if (model_.peak.live_blocks != 0) {
      std::string when =
          absl::StrCat("Peak of live native blocks: ", FormatBytes(static_cast<double>(model_.peak.live_bytes)), " in ",
                       FormatCountOf(model_.peak.live_blocks, "block"), " after ", FormatDuration(model_.peak.time));
      if (model_.saw_server) absl::StrAppend(&when, " and ", FormatCountOf(model_.peak.requests, "request"));
      absl::StrAppend(&when, "; ", FormatBytes(static_cast<double>(model_.live_bytes)), " at the end.");
      Paragraph(when);
    }
    Line();
  }

  void Phases() {
    if (model_.run_phases.size() < 2) return;
    Line(style_.Bold("Phases"));
    std::size_t name_width = 8;
    for (const model::RunPhase& phase : model_.run_phases) {
      name_width = std::max(name_width, std::min<std::size_t>(TextWidth(phase.name), 20));
    }
    Line(style_.Dim(absl::StrCat("  ", PadRight("", name_width), PadLeft("lasted", 12), PadLeft("requests", 11),
                                 PadLeft("allocated", 11), PadLeft("freed", 11), PadLeft("growth", 11),
                                 options_.terminal.width >= 90 ? PadLeft("per request", 13) : "")));
    for (const model::RunPhase& phase : model_.run_phases) {
      const double growth = static_cast<double>(phase.allocated_bytes) - static_cast<double>(phase.freed_bytes);
      std::string line = absl::StrCat(
          "  ", PadRight(ElideEnd(Printable(phase.name), name_width, options_.terminal.unicode), name_width),
          PadLeft(FormatDuration(phase.end - phase.start), 12),
          PadLeft(model_.saw_server ? FormatCount(phase.requests) : "-", 11),
          PadLeft(FormatBytes(static_cast<double>(phase.allocated_bytes)), 11),
          PadLeft(FormatBytes(static_cast<double>(phase.freed_bytes)), 11), PadLeft(FormatBytesChange(growth), 11));
      if (options_.terminal.width >= 90) {
        line +=
            PadLeft(phase.requests == 0 ? "-" : FormatBytesChange(growth / static_cast<double>(phase.requests)), 13);
      }
      Line(line);
    }
    Line();
  }

  void Sites(bool mappings) {
    SiteOptions site_options = options_.sites;
    site_options.mappings = mappings;
    const std::vector<Site> sites = MakeSites(model_, names_, site_options);
    if (mappings && sites.empty()) return;
    const SiteSum sum = SumSites(sites);
    std::string title = mappings ? "Mappings live at the end: " : "Native memory live at the end: ";
    absl::StrAppend(&title, FormatBytes(static_cast<double>(sum.bytes)), " in ",
                    FormatCountOf(sum.blocks, mappings ? "mapping" : "block"), ", ",
                    FormatCountOf(sites.size(), "call site"));
    if (!site_options.filters.empty()) {
      const std::uint64_t all = mappings ? model_.mapped_bytes : model_.live_bytes;
      absl::StrAppend(&title, " (filtered; all: ", FormatBytes(static_cast<double>(all)), ")");
    }
    Line(style_.Bold(title));
    if (mappings) DescribeMappings();
    std::size_t count = options_.top == 0 ? sites.size() : std::min(options_.top, sites.size());
    if (mappings && options_.top != 0) count = std::min(count, kMappingSites);
    const SiteTextOptions text_options{
        .terminal = options_.terminal, .depth = options_.depth, .sort = site_options.sort, .total = sum.bytes};
    for (std::size_t i = 0; i < count; ++i) {
      if (i != 0) Line();
      text_ += SiteText(model_, names_, sites[i], i + 1, text_options);
    }
    if (count < sites.size()) {
      Line();
      const SiteSum rest = SumSites(absl::MakeConstSpan(sites).subspan(count));
      Line(style_.Dim(
          absl::StrCat("  ", FormatCount(sites.size() - count), " more: ", FormatBytes(static_cast<double>(rest.bytes)),
                       " in ", FormatCountOf(rest.blocks, mappings ? "mapping" : "block"), " (--top 0 shows all)")));
    }
    Line();
  }

  void DescribeMappings() {
    std::uint64_t reserved = 0;
    std::uint64_t files = 0;
    for (const model::LiveMapping& mapping : model_.live_mappings) {
      if (mapping.protection == 0) {
        reserved += mapping.bytes;
      } else if (!mapping.anonymous) {
        files += mapping.bytes;
      }
    }
    std::vector<std::string> parts;
    if (reserved != 0) {
      parts.push_back(FormatBytes(static_cast<double>(reserved)) +
                      " reserved without access: address space, hardly memory");
    }
    if (files != 0) parts.push_back(FormatBytes(static_cast<double>(files)) + " of files");
    if (!parts.empty()) Paragraph("Of these, " + absl::StrJoin(parts, "; ") + ".");
  }

  void IntegritySection() {
    const model::Integrity& integrity = model_.integrity;
    Line(style_.Bold("Integrity"));
    std::uint64_t unknown = 0;
    std::uint64_t overlaps = 0;
    for (const model::AllocatorIntegrity& allocator : integrity.allocators) {
      unknown += allocator.unknown_frees;
      overlaps += allocator.overlaps;
    }
    std::string summary = absl::StrCat("Coverage ", FormatShare(integrity.Coverage()), ": ", FormatCount(unknown),
                                       " frees of unknown pointers, ", FormatCount(overlaps), " overlaps, ",
                                       FormatCount(integrity.dropped), " events dropped");
    if (integrity.lost_events != 0) absl::StrAppend(&summary, ", ", FormatCount(integrity.lost_events), " lost");
    Paragraph(summary + ".");
    if (integrity.truncated_stacks + integrity.broken_stacks != 0) {
      Paragraph(absl::StrCat("Stacks: ", FormatCount(integrity.truncated_stacks), " deeper than the limit, ",
                             FormatCount(integrity.broken_stacks), " whose end was not reached."));
    }
    if (integrity.allocators.size() > 1 || unknown + overlaps != 0) {
      Line(style_.Dim(absl::StrCat("  ", PadRight("allocator", 16), PadLeft("allocations", 15), PadLeft("frees", 15),
                                   PadLeft("unknown", 11), PadLeft("overlaps", 11))));
      for (const model::AllocatorIntegrity& allocator : integrity.allocators) {
        Line(absl::StrCat("  ", PadRight(ElideEnd(Printable(allocator.name), 16, options_.terminal.unicode), 16),
                          PadLeft(FormatCount(allocator.allocations), 15), PadLeft(FormatCount(allocator.frees), 15),
                          PadLeft(FormatCount(allocator.unknown_frees), 11),
                          PadLeft(FormatCount(allocator.overlaps), 11)));
      }
    }
    constexpr std::size_t kShownDamage = 5;
    for (std::size_t i = 0; i < std::min(kShownDamage, integrity.damage.size()); ++i)
      Paragraph(Printable(integrity.damage[i]));
  }

  void Notes() {
    if (names_.notes().empty()) return;
    Line();
    Line(style_.Bold("Notes"));
    for (const std::string& note : names_.notes()) Paragraph(Printable(note));
  }

  const TraceModel& model_;
  Names& names_;
  const Judgement& judgement_;
  const TextOptions& options_;
  Style style_;
  std::string text_;
};

}  // namespace

std::string MakeText(const TraceModel& model, Names& names, const Judgement& judgement, const TextOptions& options) {
  return TextReport(model, names, judgement, options).Make();
}

}  // namespace leaktrace::report
