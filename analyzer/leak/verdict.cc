#include "analyzer/leak/verdict.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzer/base/quantity.h"
#include "analyzer/leak/suspects.h"
#include "analyzer/leak/words.h"

namespace leaktrace::leak {
namespace {

constexpr double kSureEnough = 0.5;     // a leak with less confidence decides nothing
constexpr double kMegabyte = 1e6;       // less says nothing of a process's resident memory
constexpr double kJsHeapMatters = 3e5;  // less is what a program's start leaves behind
constexpr double kShareOfGrowth = 0.1;  // a part that explains less of the growth is not what the growth is about

// The sums that the verdict is decided by, in bytes over the load.
struct Sums {
  double native = 0;      // leaks of blocks that native code holds
  double js_objects = 0;  // leaks of blocks that JavaScript objects hold
  double mappings = 0;
  double js_heap = 0;  // steady growth
  double native_rate = 0, js_objects_rate = 0, mappings_rate = 0;
};

Sums SumUp(const std::vector<Suspect>& suspects, const Window& window) {
  Sums sums;
  for (const Suspect& suspect : suspects) {
    if (suspect.evidence.kind != Class::kLeak || suspect.evidence.confidence < kSureEnough) continue;
    if (suspect.owner == Owner::kJsEngine) continue;
    const double growth = suspect.evidence.growth_bytes;
    // What grows with time has a rate of its own; in the sum it counts by what it added to the load.
    const double rate = suspect.evidence.unit == window.unit ? suspect.evidence.bytes_per_unit : growth / window.units;
    if (suspect.memory == Memory::kMapping) {
      sums.mappings += growth;
      sums.mappings_rate += rate;
    } else if (suspect.owner == Owner::kJsObject) {
      sums.js_objects += growth;
      sums.js_objects_rate += rate;
    } else {
      sums.native += growth;
      sums.native_rate += rate;
    }
  }
  return sums;
}

// Where the runtime reports about as much new external memory as blocks leak, objects hold these blocks, whatever their
// stacks say.
void AttributeToExternal(std::vector<Suspect>& suspects, const Growth& growth) {
  double leaked = 0;
  for (const Suspect& suspect : suspects) {
    if (suspect.evidence.kind == Class::kLeak && suspect.memory == Memory::kHeap)
      leaked += suspect.evidence.growth_bytes;
  }
  if (leaked <= 0 || growth.external.value_or(0) < 0.7 * leaked) return;
  for (Suspect& suspect : suspects) {
    if (suspect.owner == Owner::kNative && suspect.evidence.growth_bytes > 0.5 * leaked)
      suspect.owner = Owner::kJsObject;
  }
}

// The steady growth of the JavaScript heap: of its live objects where the runtime reports them, else of the memory that
// it takes.
double JsHeapRise(const ProcessHistory& process, const Window& window, const Growth& growth) {
  std::vector<std::pair<double, double>> used, blocks;
  for (const JsHeapSample& sample : process.js_heap) {
    if (!sample.heap_used.has_value()) continue;
    const std::uint64_t external =
        process.runtime == "bun" ? std::min(sample.external.value_or(0), *sample.heap_used) : 0;
    used.emplace_back(sample.time, static_cast<double>(*sample.heap_used - external));
  }
  for (const TimelinePoint& point : process.timeline) {
    blocks.emplace_back(point.time, static_cast<double>(point.js_live_bytes + point.js_mapped_bytes));
  }
  // Where the program marked its phases, the heap was collected before the samples at their begins.
  if (window.marked && growth.js_heap_used.has_value()) return *growth.js_heap_used;
  if (const auto rise = SteadyRise(used, process, window)) return *rise;
  if (growth.js_heap_used.has_value()) return *growth.js_heap_used;
  return SteadyRise(blocks, process, window).value_or(0);
}

bool RssStillGrows(const ProcessHistory& process, const Window& window) {
  std::vector<std::pair<double, double>> rss;
  for (const MemorySample& sample : process.memory) rss.emplace_back(sample.time, static_cast<double>(sample.rss));
  const std::optional<double> rise = SteadyRise(rss, process, window);
  return !rise.has_value() || *rise > kMegabyte;
}

const Suspect* FirstLeak(const std::vector<Suspect>& suspects, Memory memory) {
  for (const Suspect& suspect : suspects) {
    if (suspect.evidence.kind == Class::kLeak && suspect.memory == memory && suspect.owner != Owner::kJsEngine)
      return &suspect;
  }
  return nullptr;
}

std::string NameOf(const Suspect* suspect, std::span<const Candidate> candidates) {
  if (suspect == nullptr) return "an unknown function";
  const std::string& name = candidates[suspect->candidates.front()].name;
  return name.empty() ? "code without a stack" : name;
}

// "Server.handle (server.js:12)": the innermost JavaScript function of a suspect that is the user's own, where there is
// one.
std::string ScriptOf(const Suspect* suspect, std::span<const Candidate> candidates) {
  if (suspect == nullptr) return "";
  const symbolize::Line* found = nullptr;
  for (const StackLine& at : candidates[suspect->candidates.front()].stack) {
    if (at.line->kind != symbolize::LineKind::kJs) continue;
    const bool own = at.role == symbolize::SiteRole::kSite && !at.line->file.starts_with("node:");
    if (found == nullptr || own) found = at.line;
    if (own) break;
  }
  if (found == nullptr) return "";
  std::string text = found->function.empty() ? "an anonymous function" : found->function;
  if (!found->file.empty())
    absl::StrAppend(&text, " (", found->file, found->line > 0 ? absl::StrCat(":", found->line) : "", ")");
  return text;
}

std::string OverTheLoad(const Verdict& verdict) {
  return absl::StrCat(" over ", Count(verdict.units, UnitName(verdict.unit)));
}

std::string Rate(double bytes, Unit unit) { return absl::StrCat(FormatBytes(bytes), " per ", UnitName(unit)); }

void SayNativeLeak(Verdict& verdict, const Sums& sums, const std::vector<Suspect>& suspects,
                   std::span<const Candidate> candidates) {
  const Suspect* first = FirstLeak(suspects, Memory::kHeap);
  const std::string script = ScriptOf(first, candidates);
  verdict.kind = Kind::kNativeLeak;
  verdict.bytes_per_unit = sums.native_rate + sums.js_objects_rate;
  verdict.owned_by_js = sums.js_objects > sums.native;
  const std::string where =
      absl::StrCat(NameOf(first, candidates), script.empty() ? "" : absl::StrCat(", called from ", script));
  if (verdict.owned_by_js) {
    verdict.summary =
        absl::StrCat("Native memory retained by JavaScript objects (external memory: Buffers, ArrayBuffers) grows by ",
                     Rate(*verdict.bytes_per_unit, verdict.unit), ", allocated in ", where, ".");
    verdict.next = {
        absl::StrCat("Take two heap snapshots and compare them: look for Buffers and ArrayBuffers that are kept",
                     script.empty() ? "." : absl::StrCat(", made in ", script, ".")),
        "The memory is freed when the objects that hold it are; there is no leak in native code."};
    return;
  }
  verdict.summary = absl::StrCat(
      "Native memory leaks: ", Rate(*verdict.bytes_per_unit, verdict.unit), OverTheLoad(verdict), ", ",
      first == nullptr ? "" : absl::StrCat(Percent(first->share), " of what grows, "), "allocated in ", where, ".");
  verdict.next.push_back(absl::StrCat("Look at ", NameOf(first, candidates), ": what it allocates there is never freed",
                                      script.empty() ? "." : absl::StrCat(" when it is called from ", script, ".")));
  if (sums.js_objects > 0) {
    verdict.next.push_back(absl::StrCat("Besides, JavaScript objects retain ", FormatBytes(sums.js_objects),
                                        " of native memory (Buffers, ArrayBuffers): compare two heap snapshots."));
  }
  verdict.next.push_back(
      "A heap snapshot does not show this memory. Try another version of the runtime or of the addon, and report it "
      "there with this stack.");
}

void SayJsHeap(Verdict& verdict, const Sums& sums) {
  verdict.kind = Kind::kJsHeapGrowth;
  verdict.bytes_per_unit = sums.js_heap / verdict.units;
  verdict.summary = absl::StrCat("The JavaScript heap grows by ", Rate(*verdict.bytes_per_unit, verdict.unit),
                                 "; there is no native leak to speak of.");
  verdict.next = {
      "Take two heap snapshots some minutes apart and compare them: look for maps, arrays, listeners, timers and "
      "closures that "
      "only grow."};
  if (sums.native + sums.js_objects > 0) {
    verdict.notes.push_back(absl::StrCat("Native blocks grow along with it, by ",
                                         FormatBytes(sums.native + sums.js_objects),
                                         ": less than the objects themselves, so it is most likely theirs."));
  }
}

void SayMappings(Verdict& verdict, const Sums& sums, const std::vector<Suspect>& suspects,
                 std::span<const Candidate> candidates) {
  verdict.kind = Kind::kMappingGrowth;
  verdict.bytes_per_unit = sums.mappings_rate;
  const std::string where = NameOf(FirstLeak(suspects, Memory::kMapping), candidates);
  verdict.summary =
      absl::StrCat("Memory mapped by ", where, " is not unmapped: ", Rate(sums.mappings_rate, verdict.unit),
                   OverTheLoad(verdict), ".");
  verdict.next = {absl::StrCat("Look at ", where, ": each of its mappings needs a munmap.")};
}

void SayAllocator(Verdict& verdict, const ProcessHistory& process) {
  verdict.kind = Kind::kAllocatorRetention;
  verdict.bytes_per_unit = *verdict.growth.allocator / verdict.units;
  const double rss = *verdict.growth.rss, kept = *verdict.growth.allocator;
  verdict.summary = kept < rss ? absl::StrCat("No leak: of the ", FormatBytes(rss), " by which the process grew, ",
                                              FormatBytes(kept), " were freed and are kept by the allocator.")
                               : absl::StrCat("No leak: the process grew by ", FormatBytes(rss),
                                              ", but what it allocated was freed and is kept by the allocator.");
  if (process.runtime == "bun") {
    verdict.next = {
        "Let it run on: memory that the allocator keeps is used again, so the growth stops. MIMALLOC_PURGE_DELAY=0 "
        "makes it give "
        "memory back at once."};
  } else {
    verdict.next = {
        "Start it with MALLOC_ARENA_MAX=2, or MALLOC_TRIM_THRESHOLD_=131072, or with another allocator (jemalloc by "
        "LD_PRELOAD): "
        "glibc keeps what was freed between blocks that live."};
  }
}

void SayNoGrowth(Verdict& verdict) {
  verdict.kind = Kind::kNoGrowth;
  verdict.bytes_per_unit = 0;
  verdict.summary = absl::StrCat(
      "No leak: after", OverTheLoad(verdict).substr(5), " nothing grows steadily",
      verdict.growth.rss.has_value() ? absl::StrCat(" (the process by ", FormatBytes(*verdict.growth.rss), ")") : "",
      ".");
}

void SayUnclear(Verdict& verdict) {
  verdict.kind = Kind::kUnclear;
  const std::vector<std::string> parts = Explain(verdict.growth);
  verdict.summary = absl::StrCat(
      "The process grew by ", FormatBytes(verdict.growth.rss.value_or(0)),
      " and no leak was found; the largest part: ", parts.empty() ? std::string("unknown") : parts.front(), ".");
  verdict.next = {"Run it for longer, with a steady load and a pause after it: growth that stops is no leak."};
}

void Decide(Verdict& verdict, const ProcessHistory& process, const Window& window, const std::vector<Suspect>& suspects,
            std::span<const Candidate> candidates) {
  Sums sums = SumUp(suspects, window);
  sums.js_heap = JsHeapRise(process, window, verdict.growth);
  const double blocks = sums.native + sums.js_objects;
  // Pages of files come and go with the system's memory, and tracing's own are not the program's.
  const double rss =
      verdict.growth.rss.value_or(0) - verdict.growth.files.value_or(0) - verdict.growth.tracer.value_or(0);
  // Objects drag native memory along, and a native leak drags along the objects that wrap it: the larger is the cause.
  // Pages of the heap are a rougher measure than its live objects.
  const double most = (verdict.growth.js_heap_used.has_value() ? 0.75 : 2) * blocks;
  const bool js_heap_leads = sums.js_heap > std::max(kJsHeapMatters, most);
  if (blocks > 0 && !js_heap_leads) {
    SayNativeLeak(verdict, sums, suspects, candidates);
  } else if (sums.mappings > kMegabyte && sums.mappings > kShareOfGrowth * std::max(rss, sums.js_heap)) {
    SayMappings(verdict, sums, suspects, candidates);
  } else if (sums.js_heap > kJsHeapMatters && (blocks > 0 || sums.js_heap > kShareOfGrowth * rss)) {
    SayJsHeap(verdict, sums);
  } else if (blocks > 0) {
    SayNativeLeak(verdict, sums, suspects, candidates);
  } else if (rss > 2 * kMegabyte && verdict.growth.allocator.value_or(0) > 0.5 * rss) {
    SayAllocator(verdict, process);
  } else if (rss <= 2 * kMegabyte || !RssStillGrows(process, window)) {
    SayNoGrowth(verdict);
  } else {
    SayUnclear(verdict);
  }
}

// Where the JavaScript heap leads the growth, native memory that grows along is its objects', and no leak of its own.
void AttributeToObjects(std::vector<Suspect>& suspects) {
  for (Suspect& suspect : suspects) {
    if (suspect.evidence.kind != Class::kLeak || suspect.memory != Memory::kHeap) continue;
    suspect.evidence.kind = Class::kUnclear;
    suspect.evidence.confidence *= 0.5;
    suspect.severity = Severity::kLow;
    suspect.evidence.reason += " The JavaScript heap grows faster: most likely its objects hold it.";
  }
}

void AddNotes(Verdict& verdict, const ProcessHistory& process, const Window& window) {
  if (!process.complete) verdict.notes.push_back("Part of the trace is missing: rates are lower bounds.");
  if (!window.marked) {
    verdict.notes.push_back(
        window.unit == Unit::kRequest
            ? "No phases were marked: the load is what came after the first fifth of the requests."
        : window.unit == Unit::kIteration
            ? "No phases were marked: the growth of the whole run was divided by the iterations given."
            : "No phases were marked and no requests were seen: rates are per second. `--per PHASE=COUNT` gives them "
              "per "
              "iteration.");
  }
  const double gap = verdict.growth.unexplained.value_or(0);
  if (verdict.growth.rss.has_value() && std::abs(gap) > 0.05 * std::abs(*verdict.growth.rss) &&
      std::abs(gap) > kMegabyte) {
    verdict.notes.push_back(absl::StrCat(FormatBytes(gap), " of the growth of the process are unexplained."));
  }
}

}  // namespace

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kNativeLeak:
      return "native leak";
    case Kind::kJsHeapGrowth:
      return "js heap growth";
    case Kind::kAllocatorRetention:
      return "allocator retention";
    case Kind::kMappingGrowth:
      return "mapping growth";
    case Kind::kNoGrowth:
      return "no growth";
    case Kind::kUnclear:
      return "unclear";
  }
  return "";
}

const char* SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kNone:
      return "none";
    case Severity::kLow:
      return "low";
    case Severity::kMedium:
      return "medium";
    case Severity::kHigh:
      return "high";
  }
  return "";
}

absl::StatusOr<Analysis> Analyze(const ProcessHistory& process, std::span<const Candidate> candidates,
                                 const AnalysisOptions& options) {
  Analysis analysis;
  const absl::StatusOr<Window> window = ChooseWindow(process, options.per);
  if (absl::IsFailedPrecondition(window.status())) {
    analysis.verdict.summary = absl::StrCat("Nothing can be said: ", window.status().message(), ".");
    return analysis;
  }
  if (!window.ok()) return window.status();
  analysis.suspects = FindSuspects(process, candidates, *window);
  analysis.verdict.unit = window->unit;
  analysis.verdict.units = window->units;
  analysis.verdict.growth = Triage(process, *window);
  AttributeToExternal(analysis.suspects, analysis.verdict.growth);
  Decide(analysis.verdict, process, *window, analysis.suspects, candidates);
  if (analysis.verdict.kind == Kind::kJsHeapGrowth) AttributeToObjects(analysis.suspects);
  AddNotes(analysis.verdict, process, *window);
  return analysis;
}

}  // namespace leaktrace::leak
