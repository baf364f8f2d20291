#include "analyzer/report/verdict_text.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzer/base/quantity.h"
#include "analyzer/report/site_text.h"
#include "analyzer/report/style.h"

namespace leaktrace::report {
namespace {

using leak::Class;
using leak::Kind;

class VerdictLines {
 public:
  VerdictLines(const model::TraceModel& model, const Names& names, const Judgement& judgement, const Terminal& terminal)
      : model_(model), names_(names), judgement_(judgement), terminal_(terminal), style_(terminal.colour) {}

  std::string Make(std::size_t suspects) {
    const leak::Verdict& verdict = judgement_.verdict;
    const std::string kind = absl::AsciiStrToUpper(leak::KindName(verdict.kind));
    Paragraph(absl::StrCat(kind, ": ", verdict.summary), kind.size(), Colour());
    for (const std::string& step : verdict.next) Item("->", step);
    if (verdict.growth.rss.has_value()) {
      Item("", absl::StrCat("Growth of the resident memory over the load: ", FormatBytesChange(*verdict.growth.rss),
                            " = ", absl::StrJoin(leak::Explain(verdict.growth), "; "), "."));
    }
    for (const std::string& note : verdict.notes) Item("", absl::StrCat("Note: ", note));
    text_ += '\n';
    Suspects(suspects);
    return std::move(text_);
  }

 private:
  enum class Tone { kBad, kGood, kOpen };

  [[nodiscard]] Tone Colour() const {
    switch (judgement_.verdict.kind) {
      case Kind::kNoGrowth:
      case Kind::kAllocatorRetention:
        return Tone::kGood;
      case Kind::kUnclear:
        return Tone::kOpen;
      default:
        return Tone::kBad;
    }
  }

  void Paragraph(const std::string& paragraph, std::size_t coloured, Tone tone) {
    const std::string wrapped = Wrap(Printable(paragraph), terminal_.width, 0);
    const std::string head = wrapped.substr(0, coloured);
    absl::StrAppend(&text_,
                    tone == Tone::kBad    ? style_.Warning(head)
                    : tone == Tone::kGood ? style_.Green(head)
                                          : style_.Yellow(head),
                    wrapped.substr(coloured), "\n");
  }

  void Item(const std::string& mark, const std::string& item) {
    const std::string lead = mark.empty() ? "  " : absl::StrCat("  ", mark, " ");
    absl::StrAppend(&text_, lead, Wrap(Printable(item), terminal_.width - lead.size(), lead.size()), "\n");
  }

  void Suspects(std::size_t most) {
    std::vector<const NamedSuspect*> shown;
    std::size_t left_out = 0;
    for (const NamedSuspect& named : judgement_.suspects) {
      const Class kind = named.suspect.evidence.kind;
      if (kind != Class::kLeak && (kind != Class::kUnclear || named.suspect.share < 0.05)) continue;
      if (most == 0 || shown.size() < most) {
        shown.push_back(&named);
      } else {
        ++left_out;
      }
    }
    if (shown.empty()) return;
    absl::StrAppend(&text_, style_.Bold("Suspects"), "\n");
    for (const NamedSuspect* named : shown) Suspect(*named);
    if (left_out > 0) {
      absl::StrAppend(&text_, style_.Dim(absl::StrCat("  ", left_out, " more (--top 0 shows all)")), "\n\n");
    }
  }

  void Suspect(const NamedSuspect& named) {
    const leak::Suspect& suspect = named.suspect;
    const leak::Evidence& evidence = suspect.evidence;
    const std::string kind = leak::ClassName(evidence.kind);
    std::vector<std::string> facts;
    facts.push_back(absl::StrCat(FormatBytes(evidence.bytes_per_unit), " in ", FormatRate(evidence.blocks_per_unit),
                                 " blocks per ", leak::UnitName(evidence.unit)));
    facts.push_back(absl::StrCat(FormatShare(suspect.share), " of what grows"));
    facts.push_back(absl::StrCat("severity ", leak::SeverityName(suspect.severity)));
    facts.push_back(absl::StrCat("confidence ", FormatShare(evidence.confidence)));
    absl::StrAppend(&text_, "  ", evidence.kind == Class::kLeak ? style_.Warning(kind) : style_.Yellow(kind), "  ",
                    style_.Bold(Printable(named.site.name.empty() ? "[no stack]" : named.site.name)), "\n");
    Item("  ", absl::StrJoin(facts, ", "));
    Item("  ", evidence.reason);
    text_ += StackText(names_, named.site.stack, {.terminal = terminal_});
    text_ += '\n';
  }

  const model::TraceModel& model_;
  const Names& names_;
  const Judgement& judgement_;
  const Terminal& terminal_;
  Style style_;
  std::string text_;
};

}  // namespace

std::string VerdictText(const model::TraceModel& model, const Names& names, const Judgement& judgement,
                        const Terminal& terminal, std::size_t suspects) {
  return VerdictLines(model, names, judgement, terminal).Make(suspects);
}

}  // namespace leaktrace::report
