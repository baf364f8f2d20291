#include "analyzer/leak/suspects.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace leaktrace::leak {
namespace {

// Less than this in the whole load is no leak that anyone would look for.
constexpr double kFewestBytes = 16 << 10;
// Nor is so little for each request or iteration: statistics, growing tables, the runtime's own bookkeeping.
constexpr double kFewestBytesPerUnit = 2;
constexpr double kFewestBlocksPerUnit = 0.02;

// What a leak too small to matter is called.
void Discount(Evidence& evidence) {
  if (evidence.kind != Class::kLeak) return;
  const bool small_in_all = evidence.growth_bytes < kFewestBytes;
  const bool small_for_each = evidence.unit != Unit::kSecond && evidence.bytes_per_unit < kFewestBytesPerUnit &&
                              evidence.blocks_per_unit < kFewestBlocksPerUnit;
  if (!small_in_all && !small_for_each) return;
  evidence.kind = Class::kUnclear;
  evidence.confidence = std::min(evidence.confidence, 0.3);
  evidence.reason += " It is too little to tell from the growth of tables and caches.";
}

// The engine's own needs are part of its heap, which is no native leak.
void AttributeToEngine(Evidence& evidence) {
  if (evidence.kind != Class::kLeak) return;
  evidence.kind = Class::kUnclear;
  evidence.reason += " It is what the JavaScript engine needs for its heap, and grows with it.";
}

Severity SeverityOf(const Suspect& suspect) {
  if (suspect.evidence.kind == Class::kUnclear) return Severity::kLow;
  if (suspect.evidence.kind != Class::kLeak) return Severity::kNone;
  // A second of a busy server is a hundred requests.
  const double scale = suspect.evidence.unit == Unit::kSecond ? 100 : 1;
  const double rate = suspect.evidence.bytes_per_unit;
  if (rate >= 1000 * scale || (suspect.share >= 0.5 && rate >= 50 * scale)) return Severity::kHigh;
  if (rate >= 100 * scale || suspect.share >= 0.1) return Severity::kMedium;
  return Severity::kLow;
}

int Rank(const Suspect& suspect) {
  const int owned = suspect.owner == Owner::kNative ? 0 : 1;
  return 2 * static_cast<int>(suspect.evidence.kind) + owned;
}

Evidence WeighTogether(const ProcessHistory& process, std::span<const Candidate> candidates, const Window& window,
                       std::span<const std::size_t> members) {
  Series series(process.timeline.size());
  for (const std::size_t member : members) series.Add(candidates[member].history);
  return Weigh(series, process, window);
}

}  // namespace

std::vector<Suspect> FindSuspects(const ProcessHistory& process, std::span<const Candidate> candidates,
                                  const Window& window) {
  // Memory, owner and cause; churn apart. Ordered, so that the result does not depend on a hash.
  std::map<std::tuple<Memory, Owner, std::string, bool>, std::vector<std::size_t>> causes;
  std::vector<double> growth(candidates.size(), 0);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    if (candidate.history.js_heap) continue;
    const std::size_t self[] = {i};
    const Evidence alone = WeighTogether(process, candidates, window, self);
    growth[i] = alone.growth_bytes;
    causes[{candidate.history.memory, OwnerOf(candidate.stack), CauseKey(candidate.stack), alone.kind == Class::kChurn}]
        .push_back(i);
  }

  std::vector<Suspect> suspects;
  double total[2] = {0, 0};  // by Memory
  for (auto& [cause, members] : causes) {
    std::stable_sort(members.begin(), members.end(),
                     [&](std::size_t a, std::size_t b) { return growth[a] > growth[b]; });
    Suspect suspect;
    suspect.memory = std::get<0>(cause);
    suspect.owner = std::get<1>(cause);
    suspect.evidence = WeighTogether(process, candidates, window, members);
    Discount(suspect.evidence);
    if (suspect.owner == Owner::kJsEngine) AttributeToEngine(suspect.evidence);
    suspect.candidates = std::move(members);
    total[static_cast<std::size_t>(suspect.memory)] += std::max(0.0, suspect.evidence.growth_bytes);
    suspects.push_back(std::move(suspect));
  }
  for (Suspect& suspect : suspects) {
    const double all = total[static_cast<std::size_t>(suspect.memory)];
    suspect.share = all > 0 ? std::clamp(suspect.evidence.growth_bytes / all, 0.0, 1.0) : 0;
    suspect.severity = SeverityOf(suspect);
  }
  std::stable_sort(suspects.begin(), suspects.end(), [](const Suspect& a, const Suspect& b) {
    if (Rank(a) != Rank(b)) return Rank(a) < Rank(b);
    return a.evidence.growth_bytes > b.evidence.growth_bytes;
  });
  return suspects;
}

}  // namespace leaktrace::leak
