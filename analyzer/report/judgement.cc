#include "analyzer/report/judgement.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace leaktrace::report {
namespace {

using model::OriginId;
using model::TraceModel;

// One site of all stacks of a suspect. Its largest part is that of the first candidate.
Site MakeSite(const TraceModel& model, const Names& names, const std::vector<const SiteOrigins*>& parts,
              const absl::flat_hash_map<OriginId, std::vector<std::uint64_t>>& bytes_by_phase) {
  Site site;
  std::vector<std::uint64_t> bytes(model.run_phases.size(), 0);
  for (const SiteOrigins* part : parts) {
    for (const OriginId id : part->origins) {
      const model::OriginTotals& totals = model.totals[id];
      site.bytes += totals.live_bytes;
      site.blocks += totals.live_blocks;
      site.allocations += totals.allocations;
      site.allocated_bytes += totals.allocated_bytes;
      site.peak_bytes += totals.peak_bytes;
      site.peak_blocks += totals.peak_blocks;
      site.origins.push_back(id);
      const auto found = bytes_by_phase.find(id);
      if (found == bytes_by_phase.end()) continue;
      for (std::size_t phase = 0; phase < bytes.size(); ++phase) bytes[phase] += found->second[phase];
    }
  }
  site.stacks = parts.size();
  site.stack = parts.front()->stack;
  const auto by_exit_bytes = [&](OriginId a, OriginId b) {
    return model.totals[a].exit_bytes < model.totals[b].exit_bytes;
  };
  site.largest = *std::max_element(parts.front()->origins.begin(), parts.front()->origins.end(), by_exit_bytes);
  const auto most = std::max_element(bytes.begin(), bytes.end());
  if (most != bytes.end() && *most > 0) site.run_phase = static_cast<std::uint32_t>(most - bytes.begin());
  const std::vector<StackLine> stack = names.Stack(site.stack);
  if (!stack.empty()) site.name = symbolize::DisplayName(*stack[names.Site(stack)].line);
  return site;
}

absl::flat_hash_map<OriginId, std::vector<std::uint64_t>> SurvivorsByPhase(const TraceModel& model) {
  absl::flat_hash_map<OriginId, std::vector<std::uint64_t>> bytes;
  for (const model::Survivors& survivors : model.survivors) {
    std::vector<std::uint64_t>& phases = bytes[survivors.origin];
    phases.resize(model.run_phases.size());
    phases[survivors.run_phase] += survivors.bytes;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<Judgement> Judge(const TraceModel& model, Names& names, const leak::AnalysisOptions& options) {
  Histories all = MakeHistories(model, names);
  std::vector<leak::Candidate> candidates;
  std::vector<const SiteOrigins*> sites;
  const absl::StatusOr<leak::Window> window = leak::ChooseWindow(all.process, options.per);
  OriginGrowth survived;
  if (window.ok()) {
    const std::vector<OriginGrowth> growth = GrowthByOrigin(model, *window);
    for (OriginId id = 0; id < growth.size(); ++id) {
      if (model.origins[id].mapping) continue;
      survived.bytes += growth[id].bytes;
      survived.blocks += growth[id].blocks;
    }
    std::vector<model::FrameId> stacks;
    for (const leak::SiteHistory& history : all.histories) {
      if (!leak::IsCandidate(history, *window)) continue;
      sites.push_back(&all.sites[history.site]);
      stacks.push_back(sites.back()->stack);
    }
    names.Resolve(stacks);
    for (leak::SiteHistory& history : all.histories) {
      if (!leak::IsCandidate(history, *window)) continue;
      leak::Candidate candidate;
      const std::vector<StackLine> stack = names.Stack(all.sites[history.site].stack);
      for (const StackLine& at : stack) candidate.stack.push_back({at.line, names.Role(at.frame)});
      if (!stack.empty()) candidate.name = symbolize::DisplayName(*stack[names.Site(stack)].line);
      candidate.history = std::move(history);
      candidates.push_back(std::move(candidate));
    }
  }
  absl::StatusOr<leak::Analysis> analysis = leak::Analyze(all.process, candidates, options);
  if (!analysis.ok()) return analysis.status();

  Judgement judgement;
  judgement.verdict = std::move(analysis->verdict);
  judgement.survived = survived;
  const auto by_phase = SurvivorsByPhase(model);
  for (leak::Suspect& suspect : analysis->suspects) {
    std::vector<const SiteOrigins*> parts;
    for (const std::size_t candidate : suspect.candidates) parts.push_back(sites[candidate]);
    Site site = MakeSite(model, names, parts, by_phase);
    judgement.suspects.push_back({std::move(suspect), std::move(site)});
  }
  return judgement;
}

}  // namespace leaktrace::report
