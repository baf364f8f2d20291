#include "analyzer/report/site_text.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzer/base/quantity.h"
#include "analyzer/report/style.h"

namespace leaktrace::report {
namespace {

using model::TraceModel;
using symbolize::Line;
using symbolize::SiteRole;

constexpr std::size_t kStackIndent = 6;
constexpr std::uint64_t kEnoughRequests = 10;

std::string Location(const Line& line) {
  if (!line.file.empty()) return line.line == 0 ? line.file : absl::StrCat(line.file, ":", line.line);
  return line.function.empty() ? "" : line.module;
}

std::string Figures(const Site& site, const SiteTextOptions& options) {
  const auto bytes = [](std::uint64_t value) { return FormatBytes(static_cast<double>(value)); };
  switch (options.sort) {
    case Sort::kAllocations:
      return absl::StrCat(FormatCountOf(site.allocations, "allocation"));
    case Sort::kAllocated:
      return absl::StrCat(bytes(site.allocated_bytes), " ever, ", FormatCountOf(site.allocations, "allocation"));
    case Sort::kPeak:
      return absl::StrCat(bytes(site.peak_bytes), " at the peak, ", FormatCountOf(site.peak_blocks, "block"));
    case Sort::kBytes:
    case Sort::kBlocks:
      break;
  }
  std::string text = absl::StrCat(bytes(site.bytes), "  ");
  if (options.total != 0) {
    absl::StrAppend(&text, FormatShare(static_cast<double>(site.bytes) / static_cast<double>(options.total)), "  ");
  }
  absl::StrAppend(&text, FormatCountOf(site.blocks, "block"));
  return text;
}

// To the byte where that helps to recognise a structure.
std::string EachSize(const Site& site) {
  constexpr std::uint64_t kExact = 100'000;
  const std::uint64_t each = site.bytes / site.blocks;
  if (each * site.blocks == site.bytes && each < kExact) return FormatCount(each) + " B";
  return "about " + FormatBytes(static_cast<double>(site.bytes) / static_cast<double>(site.blocks));
}

// Where and when it was allocated, in words.
std::string Circumstances(const TraceModel& model, const Site& site, const SiteTextOptions& options) {
  const model::Origin& origin = model.origins[site.largest];
  std::vector<std::string> facts;
  const std::string_view entry = model::EntryPointName(origin.entry);
  std::string how(entry.empty() ? "allocated" : entry);
  if (!origin.mapping && origin.allocator != format::kAllocatorLibc)
    how += absl::StrCat(" of ", std::string(model.AllocatorName(origin.allocator)));
  if (!origin.mapping && site.blocks > 1) absl::StrAppend(&how, ", ", EachSize(site), " each");
  facts.push_back(how);
  const std::string request_phase(model::RequestPhaseName(origin.request_phase));
  if (site.run_phase && model.run_phases.size() > 1) {
    const model::RunPhase& phase = model.run_phases[*site.run_phase];
    facts.push_back(
        absl::StrCat("in ", Printable(phase.name), request_phase.empty() ? "" : ", while in ", request_phase));
    if (phase.requests >= kEnoughRequests) {
      const auto requests = static_cast<double>(phase.requests);
      facts.push_back(absl::StrCat(FormatBytes(static_cast<double>(site.phase_bytes) / requests), " and ",
                                   FormatRate(static_cast<double>(site.phase_blocks) / requests),
                                   " blocks per request"));
    }
  } else if (!request_phase.empty()) {
    facts.push_back("while in " + request_phase);
  }
  if (origin.route != 0 && origin.route < model.routes.size()) facts.push_back(Printable(model.routes[origin.route]));
  if (site.stacks > 1) facts.push_back(absl::StrCat(FormatCount(site.stacks), " stacks, the largest:"));
  return absl::StrJoin(facts, options.terminal.unicode ? " · " : ", ");
}

std::string OneLine(const StackLine& entry, bool names_site, const SiteTextOptions& options, const Style& style) {
  const std::size_t width = options.terminal.width - kStackIndent;
  const bool unicode = options.terminal.unicode;
  std::string name = Printable(symbolize::DisplayName(*entry.line));
  if (entry.line->inlined) name += " (inlined)";
  std::string location = Printable(Location(*entry.line));
  // The name has two thirds of the line when both cannot be whole.
  if (TextWidth(name) + TextWidth(location) + 2 > width) {
    const std::size_t location_width =
        std::min(TextWidth(location), std::max(width / 3, width - 2 - std::min(width - 2, TextWidth(name))));
    location = ElideMiddle(location, location_width, unicode);
    name = ElideMiddle(name, width - 2 - TextWidth(location), unicode);
  }
  const std::size_t gap = width - TextWidth(name) - TextWidth(location);
  std::string line =
      names_site ? std::string(kStackIndent - 2, ' ') + (unicode ? "▸ " : "> ") : std::string(kStackIndent, ' ');
  if (names_site) {
    line += style.Bold(name);
  } else if (entry.line->kind == symbolize::LineKind::kJs) {
    line += style.Cyan(name);
  } else {
    line += name;
  }
  if (!location.empty()) line += std::string(gap, ' ') + style.Dim(location);
  return line + "\n";
}

}  // namespace

std::string StackText(const Names& names, model::FrameId innermost, const SiteTextOptions& options) {
  const Style style(options.terminal.colour);
  std::vector<StackLine> stack = names.Stack(innermost);
  const std::size_t site = names.Site(stack);
  // The C library's way to main says nothing.
  while (options.depth == 0 && stack.size() > site + 1 && names.Role(stack.back().frame) >= SiteRole::kRuntime)
    stack.pop_back();
  std::string text;
  const auto note = [&](std::size_t count, std::string_view what) {
    if (count == 0) return;
    text += std::string(kStackIndent, ' ') +
            style.Dim(absl::StrCat(options.terminal.unicode ? "… " : "... ", count, " ", std::string(what))) + "\n";
  };
  std::size_t printed = 0;
  std::size_t generated = 0;
  bool scheduled_by = false;
  const std::size_t limit = options.depth == 0 ? kTellingLines : options.depth;
  for (std::size_t i = 0; i < stack.size(); ++i) {
    const Line& line = *stack[i].line;
    if (options.depth == 0 && i != site) {
      if (IsGeneratedCode(line)) {
        ++generated;
        continue;
      }
      const bool plumbing = names.Role(stack[i].frame) == SiteRole::kRuntime && line.kind != symbolize::LineKind::kJs;
      if (plumbing) continue;
    }
    const bool room = printed < limit || (i <= site && options.depth == 0);
    if (!room) {
      note(stack.size() - i + std::exchange(generated, 0), "more");
      break;
    }
    note(std::exchange(generated, 0), "frames of code that the runtime generated, without names");
    if (stack[i].scheduled_by && !scheduled_by) {
      text += std::string(kStackIndent, ' ') + style.Dim("queued by:") + "\n";
      scheduled_by = true;
    }
    text += OneLine(stack[i], i == site, options, style);
    ++printed;
  }
  note(generated, "frames of code that the runtime generated, without names");
  if (stack.empty()) text += std::string(kStackIndent, ' ') + style.Dim("no stack was recorded") + "\n";
  return text;
}

std::string SiteText(const TraceModel& model, const Names& names, const Site& site, std::size_t rank,
                     const SiteTextOptions& options) {
  const Style style(options.terminal.colour);
  const bool unicode = options.terminal.unicode;
  const std::string number = PadLeft(absl::StrCat(rank), 3) + "  ";
  const std::string figures = Figures(site, options);
  const std::size_t room = options.terminal.width - TextWidth(number) - TextWidth(figures) - 3;
  const std::string name = ElideMiddle(site.name.empty() ? "(no stack)" : Printable(site.name), room, unicode);
  std::string text = number + style.Bold(figures) + "  " + style.Bold(name) + "\n";
  text +=
      std::string(5, ' ') + style.Dim(Wrap(Circumstances(model, site, options), options.terminal.width - 5, 5)) + "\n";
  return text + StackText(names, site.stack, options);
}

}  // namespace leaktrace::report
