// The answer: what kind of growth a run shows, who is to blame, and what to do next. A pure function of histories and
// stacks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analyzer/leak/cause.h"
#include "analyzer/leak/evidence.h"
#include "analyzer/leak/history.h"
#include "analyzer/leak/triage.h"
#include "analyzer/leak/window.h"

namespace leaktrace::leak {

enum class Kind : std::uint8_t { kNativeLeak, kJsHeapGrowth, kAllocatorRetention, kMappingGrowth, kNoGrowth, kUnclear };

// "native leak", "js heap growth", "allocator retention", "mapping growth", "no growth", "unclear".
[[nodiscard]] const char* KindName(Kind kind);

enum class Severity : std::uint8_t { kNone, kLow, kMedium, kHigh };

// "none", "low", "medium", "high".
[[nodiscard]] const char* SeverityName(Severity severity);

struct Candidate {
  SiteHistory history;
  std::vector<StackLine> stack;  // innermost first; may be empty
  std::string name;              // of the function that wanted the memory; "" = not known
};

struct Suspect {
  std::vector<std::size_t> candidates;  // indices into the candidates, largest growth first
  Memory memory = Memory::kHeap;
  Owner owner = Owner::kNative;
  Severity severity = Severity::kNone;
  double share = 0;  // of all that outlived the load, 0..1
  Evidence evidence;
};

struct Verdict {
  Kind kind = Kind::kUnclear;
  bool owned_by_js = false;        // a native leak whose memory JavaScript objects hold
  std::string summary;             // one sentence
  std::vector<std::string> next;   // what to do, a sentence each
  std::vector<std::string> notes;  // what limits the answer
  Growth growth;
  Unit unit = Unit::kSecond;
  std::optional<double> bytes_per_unit;  // of the growth that the kind is about
  double units = 0;                      // requests, iterations or seconds of the load
};

struct Analysis {
  Verdict verdict;
  std::vector<Suspect> suspects;  // leaks first, by their growth
};

struct AnalysisOptions {
  std::optional<Per> per;
};

// Deterministic. Sites of the JavaScript heap among the candidates are ignored. Errors are those of ChooseWindow for a
// phase that does not exist; a trace that is too short gives a verdict that says so.
[[nodiscard]] absl::StatusOr<Analysis> Analyze(const ProcessHistory& process, std::span<const Candidate> candidates,
                                               const AnalysisOptions& options);

}  // namespace leaktrace::leak
