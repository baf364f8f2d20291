#include "analyzer/report/sites.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace leaktrace::report {
namespace {

using format::FrameKind;
using model::FrameId;
using model::OriginId;
using model::OriginTotals;
using model::TraceModel;
using symbolize::Line;
using symbolize::LineKind;
using symbolize::SiteRole;

std::uint64_t Measure(const OriginTotals& totals, Sort sort) {
  switch (sort) {
    case Sort::kBytes:
      return totals.live_bytes;
    case Sort::kBlocks:
      return totals.live_blocks;
    case Sort::kAllocations:
      return totals.allocations;
    case Sort::kAllocated:
      return totals.allocated_bytes;
    case Sort::kPeak:
      return totals.peak_bytes;
  }
  return 0;
}

std::uint64_t Measure(const Site& site, Sort sort) {
  return Measure({.live_bytes = site.bytes,
                  .live_blocks = site.blocks,
                  .allocations = site.allocations,
                  .allocated_bytes = site.allocated_bytes,
                  .peak_bytes = site.peak_bytes,
                  .peak_blocks = site.peak_blocks},
                 sort);
}

// Zero-byte blocks have no bytes, but they are there.
bool Counts(const OriginTotals& totals, Sort sort) {
  return Measure(totals, sort) != 0 || (sort == Sort::kBytes && totals.live_blocks != 0) ||
         (sort == Sort::kPeak && totals.peak_blocks != 0);
}

// Numbers for stacks such that stacks of the same site have the same number.
class SiteKeys {
 public:
  SiteKeys(const TraceModel& model, const Names& names)
      : model_(model), names_(names), paths_(model.stacks.size() + 1) {}

  std::uint64_t Key(FrameId innermost) {
    // Callers first: a path's number is made of its caller's.
    std::vector<FrameId> pending;
    for (FrameId id = innermost; id != 0 && !paths_[id].known; id = model_.stacks.Caller(id)) pending.push_back(id);
    for (; !pending.empty(); pending.pop_back()) paths_[pending.back()] = Extend(pending.back());
    return innermost == 0 ? 0 : paths_[innermost].key;
  }

 private:
  struct Path {
    std::uint64_t key = 0;    // of the functions from this frame out to the first JavaScript function
    std::uint64_t frame = 0;  // of the innermost frame that counts: recursion counts once
    bool known = false;
  };

  Path Extend(FrameId id) {
    const FrameId caller = model_.stacks.Caller(id);
    Path path = caller == 0 ? Path{} : paths_[caller];
    path.known = true;
    const absl::Span<const Line> lines = names_.Lines(id);
    if (lines.empty() || names_.Role(id) == SiteRole::kRuntime) return path;
    std::uint64_t frame = 1;
    bool javascript = false;
    for (const Line& line : lines) {
      javascript |= line.kind == LineKind::kJs;
      // An unnamed line of a module is its address. Addresses of generated code say nothing: the same function has
      // others after each compilation.
      const bool named = !line.function.empty() || IsGeneratedCode(line);
      frame = absl::HashOf(frame, line.function, line.module, line.kind == LineKind::kJs ? line.file : "",
                           named ? 0 : line.offset);
    }
    if (javascript) return {.key = absl::HashOf(frame, 0), .frame = frame, .known = true};
    if (frame == path.frame) return path;
    return {.key = absl::HashOf(frame, path.key), .frame = frame, .known = true};
  }

  const TraceModel& model_;
  const Names& names_;
  std::vector<Path> paths_;  // by frame id
};

void AddRunPhases(const TraceModel& model, const std::vector<std::int64_t>& site_of, std::vector<Site>& sites) {
  const std::size_t phases = model.run_phases.size();
  std::vector<SiteSum> sums(sites.size() * phases);
  for (const model::Survivors& survivors : model.survivors) {
    const std::int64_t site = site_of[survivors.origin];
    if (site < 0) continue;
    SiteSum& sum = sums[static_cast<std::size_t>(site) * phases + survivors.run_phase];
    sum.bytes += survivors.bytes;
    sum.blocks += survivors.blocks;
  }
  for (std::size_t i = 0; i < sites.size(); ++i) {
    const auto begin = sums.begin() + static_cast<std::ptrdiff_t>(i * phases);
    const auto most = std::max_element(
        begin, begin + static_cast<std::ptrdiff_t>(phases),
        [](const SiteSum& a, const SiteSum& b) { return std::tie(a.bytes, a.blocks) < std::tie(b.bytes, b.blocks); });
    if (most->blocks == 0) continue;
    sites[i].run_phase = static_cast<std::uint32_t>(most - begin);
    sites[i].phase_bytes = most->bytes;
    sites[i].phase_blocks = most->blocks;
  }
}

// `part` is in lower case.
bool Contains(std::string_view text, const std::string& part) {
  return absl::StrContains(absl::AsciiStrToLower(std::string(text)), part);
}

}  // namespace

Filter::Filter(const std::string& text) {
  std::string rest = absl::AsciiStrToLower(text);
  const auto consume = [&rest](const std::string& prefix) {
    if (!absl::StartsWith(rest, prefix)) return false;
    rest.erase(0, prefix.size());
    return true;
  };
  negated_ = consume("!");
  if (consume("allocator:")) {
    field_ = Field::kAllocator;
  } else if (consume("request:")) {
    field_ = Field::kRequest;
  } else if (consume("route:")) {
    field_ = Field::kRoute;
  }
  text_ = rest;
}

bool Filter::Matches(const TraceModel& model, const Names& names, OriginId id) const {
  const model::Origin& origin = model.origins[id];
  bool found = false;
  switch (field_) {
    case Field::kStack:
      for (const StackLine& entry : names.Stack(origin.stack)) {
        const Line& line = *entry.line;
        found = Contains(line.function, text_) || Contains(line.module, text_) || Contains(line.file, text_);
        if (found) break;
      }
      break;
    case Field::kAllocator:
      found = Contains(model.AllocatorName(origin.allocator), text_);
      break;
    case Field::kRequest:
      found = Contains(model::RequestPhaseName(origin.request_phase), text_);
      break;
    case Field::kRoute:
      found = origin.route != 0 && origin.route < model.routes.size() && Contains(model.routes[origin.route], text_);
      break;
  }
  return found != negated_;
}

std::vector<Site> MakeSites(const TraceModel& model, Names& names, const SiteOptions& options) {
  std::vector<OriginId> origins;
  std::vector<FrameId> stacks;
  for (OriginId id = model::kLostOrigin + 1; id < model.origins.size(); ++id) {
    if (model.origins[id].mapping != options.mappings || !Counts(model.totals[id], options.sort)) continue;
    origins.push_back(id);
    stacks.push_back(model.origins[id].stack);
  }
  names.Resolve(stacks);
  for (const std::string& text : options.filters) {
    const Filter filter(text);
    std::erase_if(origins, [&](OriginId id) { return !filter.Matches(model, names, id); });
  }
  // Largest first: the first origin of a site is its largest.
  std::stable_sort(origins.begin(), origins.end(), [&](OriginId a, OriginId b) {
    return Measure(model.totals[a], options.sort) > Measure(model.totals[b], options.sort);
  });

  std::vector<Site> sites;
  std::vector<std::int64_t> site_of(model.origins.size(), -1);
  absl::flat_hash_map<std::uint64_t, std::size_t> by_key;
  SiteKeys keys(model, names);
  for (OriginId id : origins) {
    const FrameId stack = model.origins[id].stack;
    const std::uint64_t key = options.group == Group::kStack ? stack : keys.Key(stack);
    const auto [found, inserted] = by_key.try_emplace(key, sites.size());
    if (inserted) {
      sites.emplace_back().stack = stack;
      sites.back().largest = id;
    }
    Site& site = sites[found->second];
    site_of[id] = static_cast<std::int64_t>(found->second);
    const OriginTotals& totals = model.totals[id];
    site.bytes += totals.live_bytes;
    site.blocks += totals.live_blocks;
    site.allocations += totals.allocations;
    site.allocated_bytes += totals.allocated_bytes;
    site.peak_bytes += totals.peak_bytes;
    site.peak_blocks += totals.peak_blocks;
    site.origins.push_back(id);
  }
  AddRunPhases(model, site_of, sites);
  for (Site& site : sites) {
    absl::flat_hash_set<FrameId> different;
    for (OriginId id : site.origins) different.insert(model.origins[id].stack);
    site.stacks = different.size();
    const std::vector<StackLine> stack = names.Stack(site.stack);
    if (!stack.empty()) site.name = symbolize::DisplayName(*stack[names.Site(stack)].line);
  }
  std::stable_sort(sites.begin(), sites.end(), [&](const Site& a, const Site& b) {
    const std::uint64_t x = Measure(a, options.sort);
    const std::uint64_t y = Measure(b, options.sort);
    return x != y ? x > y : a.bytes > b.bytes;
  });
  return sites;
}

SiteSum SumSites(absl::Span<const Site> sites) {
  SiteSum sum;
  for (const Site& site : sites) {
    sum.bytes += site.bytes;
    sum.blocks += site.blocks;
  }
  return sum;
}

}  // namespace leaktrace::report
