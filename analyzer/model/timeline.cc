#include "analyzer/model/timeline.h"

#include <algorithm>

namespace leaktrace::model {

std::vector<SeriesPoint> Timeline::Series(absl::Span<const std::int32_t> group_of, std::size_t groups) const {
  const std::size_t points = checkpoints_.size();
  std::vector<SeriesPoint> series(groups * points);
  std::vector<SeriesPoint> current(group_of.size());  // of each origin
  std::vector<SeriesPoint> sums(groups);
  for (std::size_t point = 0; point < points; ++point) {
    for (const Change& change : changes_[point]) {
      if (change.origin >= group_of.size()) continue;
      const std::int32_t group = group_of[change.origin];
      if (group < 0 || static_cast<std::size_t>(group) >= groups) continue;
      SeriesPoint& origin = current[change.origin];
      SeriesPoint& sum = sums[static_cast<std::size_t>(group)];
      sum.bytes += change.bytes - origin.bytes;
      sum.blocks += change.blocks - origin.blocks;
      origin = {.bytes = change.bytes, .blocks = change.blocks};
    }
    for (std::size_t group = 0; group < groups; ++group) series[group * points + point] = sums[group];
  }
  return series;
}

std::size_t Timeline::At(std::uint64_t event) const {
  const auto found =
      std::lower_bound(checkpoints_.begin(), checkpoints_.end(), event,
                       [](const Checkpoint& checkpoint, std::uint64_t number) { return checkpoint.event < number; });
  if (found == checkpoints_.end()) return checkpoints_.empty() ? 0 : checkpoints_.size() - 1;
  return static_cast<std::size_t>(found - checkpoints_.begin());
}

}  // namespace leaktrace::model
