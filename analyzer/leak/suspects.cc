#include "analyzer/leak/suspects.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <numeric>
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

// Joins candidates that share a cause. Memory of different kinds, the engine's own, and blocks that come and go stay
// apart.
class Grouping {
 public:
  explicit Grouping(std::size_t candidates) : parent_(candidates), added_(candidates, false) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }

  void Add(std::size_t index, const Candidate& candidate, bool engine, bool churn) {
    added_[index] = true;
    const Cause cause = CauseOf(candidate.stack);
    const auto join = [&](char by, const std::string& what) {
      const auto [at, first] = by_key_.try_emplace({candidate.history.memory, engine, churn, by, what}, index);
      if (!first) parent_[Root(index)] = Root(at->second);
    };
    join('c', cause.chain);
    if (!cause.entry.empty()) {
      join('e', cause.entry);
    } else if (!cause.script.empty()) {
      join('s', cause.script);
    }
  }

  // In the order of their first members.
  [[nodiscard]] std::vector<std::vector<std::size_t>> Groups() {
    std::map<std::size_t, std::size_t> group_of;
    std::vector<std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < parent_.size(); ++i) {
      if (!added_[i]) continue;
      const auto [at, first] = group_of.try_emplace(Root(i), groups.size());
      if (first) groups.emplace_back();
      groups[at->second].push_back(i);
    }
    return groups;
  }

 private:
  std::size_t Root(std::size_t index) {
    while (parent_[index] != index) index = parent_[index] = parent_[parent_[index]];
    return index;
  }

  std::vector<std::size_t> parent_;
  std::vector<bool> added_;
  std::map<std::tuple<Memory, bool, bool, char, std::string>, std::size_t> by_key_;
};

// What holds the content of objects allocates small blocks besides; they are owned as it is.
Owner OwnerOfMost(const std::vector<std::size_t>& members, const std::vector<Owner>& owners,
                  const std::vector<double>& growth) {
  double bytes[3] = {0, 0, 0};
  for (const std::size_t member : members) bytes[static_cast<std::size_t>(owners[member])] += growth[member];
  return static_cast<Owner>(std::max_element(std::begin(bytes), std::end(bytes)) - std::begin(bytes));
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
  std::vector<double> growth(candidates.size(), 0);
  std::vector<Owner> owners(candidates.size(), Owner::kNative);
  Grouping grouping(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    if (candidate.history.js_heap) continue;
    const std::size_t self[] = {i};
    const Evidence alone = WeighTogether(process, candidates, window, self);
    growth[i] = alone.growth_bytes;
    owners[i] = OwnerOf(candidate.stack);
    grouping.Add(i, candidate, owners[i] == Owner::kJsEngine, alone.kind == Class::kChurn);
  }

  std::vector<Suspect> suspects;
  double total[2] = {0, 0};  // by Memory
  for (std::vector<std::size_t> members : grouping.Groups()) {
    std::stable_sort(members.begin(), members.end(),
                     [&](std::size_t a, std::size_t b) { return growth[a] > growth[b]; });
    Suspect suspect;
    suspect.memory = candidates[members.front()].history.memory;
    suspect.owner = OwnerOfMost(members, owners, growth);
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
