#include "analyzer/report/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace leaktrace::report {
namespace {

constexpr double kSmallestBytes = 1;
constexpr double kSmallestShare = 0.1;

Change ChangeOf(double before, double after) {
  if (std::abs(after - before) < std::max(kSmallestBytes, kSmallestShare * std::max(before, after)))
    return Change::kSame;
  if (before < kSmallestBytes) return Change::kNew;
  if (after < kSmallestBytes) return Change::kGone;
  return after > before ? Change::kLarger : Change::kSmaller;
}

}  // namespace

const char* ChangeName(Change change) {
  switch (change) {
    case Change::kNew:
      return "new";
    case Change::kLarger:
      return "larger";
    case Change::kSame:
      return "same";
    case Change::kSmaller:
      return "smaller";
    case Change::kGone:
      return "gone";
  }
  return "";
}

std::vector<ComparedRow> Compare(const std::vector<ComparedSite>& before, const std::vector<ComparedSite>& after) {
  std::map<std::pair<std::string, std::string>, ComparedRow> rows;
  const auto row_of = [&](const ComparedSite& site) -> ComparedRow& {
    const auto [at, added] = rows.try_emplace({site.name, site.script});
    ComparedRow& row = at->second;
    row.name = site.name;
    row.script = site.script;
    row.kind = added ? site.kind : std::min(row.kind, site.kind);
    return row;
  };
  for (const ComparedSite& site : before) {
    ComparedRow& row = row_of(site);
    row.bytes_before += site.bytes;
    row.blocks_before += site.blocks;
  }
  for (const ComparedSite& site : after) {
    ComparedRow& row = row_of(site);
    row.bytes_after += site.bytes;
    row.blocks_after += site.blocks;
  }
  std::vector<ComparedRow> sorted;
  for (auto& [key, row] : rows) {
    row.change = ChangeOf(row.bytes_before, row.bytes_after);
    sorted.push_back(std::move(row));
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const ComparedRow& a, const ComparedRow& b) {
    return std::abs(a.bytes_after - a.bytes_before) > std::abs(b.bytes_after - b.bytes_before);
  });
  return sorted;
}

}  // namespace leaktrace::report
