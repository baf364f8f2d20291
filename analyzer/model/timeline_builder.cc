#include "analyzer/model/timeline_builder.h"

#include <algorithm>
#include <utility>

namespace leaktrace::model {
namespace {

using Reason = TimelineBuilder::Reason;

constexpr std::uint64_t kFirstTimeStep = 10'000'000;  // 10 ms
constexpr std::uint64_t kFirstEventStep = 256;

// 2 million changes are 80 MB; a server under steady load changes a few thousand origins between two checkpoints.
constexpr std::size_t kMaxStoredChanges = 2'000'000;
constexpr std::size_t kLeastBudget = 8;

std::uint64_t FirstStep(std::uint64_t expected, std::size_t budget, std::uint64_t least) {
  return std::max(expected / budget + 1, least);
}

// The changes of two successive steps as one: the later state of each origin counts. Both are ordered by origin.
std::vector<Change> Merge(const std::vector<Change>& earlier, const std::vector<Change>& later) {
  std::vector<Change> merged;
  merged.reserve(std::max(earlier.size(), later.size()));
  auto old = earlier.begin();
  for (const Change& change : later) {
    while (old != earlier.end() && old->origin < change.origin) merged.push_back(*old++);
    if (old != earlier.end() && old->origin == change.origin) ++old;
    merged.push_back(change);
  }
  merged.insert(merged.end(), old, earlier.end());
  return merged;
}

}  // namespace

TimelineBuilder::TimelineBuilder(std::uint64_t duration, std::uint64_t events) {
  budgets_[Index(Reason::kTime)] = 96;
  budgets_[Index(Reason::kEvents)] = 64;
  budgets_[Index(Reason::kRequests)] = 96;
  budgets_[Index(Reason::kQuiet)] = 16;
  budgets_[Index(Reason::kBoundary)] = 256;
  budgets_[Index(Reason::kEnd)] = 2;
  steps_[Index(Reason::kTime)] = FirstStep(duration, budgets_[Index(Reason::kTime)], kFirstTimeStep);
  steps_[Index(Reason::kEvents)] = FirstStep(events, budgets_[Index(Reason::kEvents)], kFirstEventStep);
  steps_[Index(Reason::kRequests)] = 1;
  for (Reason reason : {Reason::kTime, Reason::kEvents, Reason::kRequests})
    next_[Index(reason)] = steps_[Index(reason)];
}

void TimelineBuilder::Add(Reason reason, const Checkpoint& checkpoint, std::vector<Change> changes) {
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) { return a.origin < b.origin; });
  stored_changes_ += changes.size();
  timeline_.checkpoints_.push_back(checkpoint);
  timeline_.changes_.push_back(std::move(changes));
  reasons_.push_back(reason);
  ++counts_[Index(reason)];
  Advance(reason, checkpoint);
  if (counts_[Index(reason)] > budgets_[Index(reason)]) Thin(reason);
  if (stored_changes_ > kMaxStoredChanges) {
    for (std::size_t i = 0; i < kReasons; ++i) {
      if (budgets_[i] < 2 * kLeastBudget) continue;
      budgets_[i] /= 2;
      Thin(static_cast<Reason>(i));
    }
  }
}

void TimelineBuilder::Advance(Reason reason, const Checkpoint& checkpoint) {
  const auto step_over = [this, reason](std::uint64_t position) {
    if (position >= Next(reason)) next_[Index(reason)] = After(reason, position);
  };
  switch (reason) {
    case Reason::kTime:
      return step_over(checkpoint.time);
    case Reason::kEvents:
      return step_over(checkpoint.event);
    case Reason::kRequests:
      return step_over(checkpoint.requests);
    default:
      return;
  }
}

void TimelineBuilder::Thin(Reason reason) {
  std::vector<bool> dropped(reasons_.size(), false);
  bool drop = true;
  // The newest stays: it may be the last of its kind.
  for (std::size_t i = 0; i + 1 < reasons_.size(); ++i) {
    if (reasons_[i] != reason) continue;
    dropped[i] = drop;
    drop = !drop;
  }
  Drop(dropped);
  std::uint64_t& step = steps_[Index(reason)];
  step *= 2;
  if (std::uint64_t& next = next_[Index(reason)]; step != 0) next = (next + step - 1) / step * step;
}

void TimelineBuilder::Drop(const std::vector<bool>& dropped) {
  std::size_t kept = 0;
  std::vector<Change> pending;
  stored_changes_ = 0;
  for (std::size_t i = 0; i < dropped.size(); ++i) {
    std::vector<Change>& changes = timeline_.changes_[i];
    if (!pending.empty()) changes = Merge(std::exchange(pending, {}), changes);
    if (dropped[i]) {
      pending = std::move(changes);
      --counts_[Index(reasons_[i])];
      continue;
    }
    changes.shrink_to_fit();
    stored_changes_ += changes.size();
    reasons_[kept] = reasons_[i];
    timeline_.checkpoints_[kept] = timeline_.checkpoints_[i];
    if (kept != i) timeline_.changes_[kept] = std::move(changes);
    ++kept;
  }
  reasons_.resize(kept);
  timeline_.checkpoints_.resize(kept);
  timeline_.changes_.resize(kept);
}

Timeline TimelineBuilder::Finish() && { return std::move(timeline_); }

}  // namespace leaktrace::model
