#include "analyzer/leak/evidence.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzer/base/quantity.h"
#include "analyzer/leak/statistics.h"
#include "analyzer/leak/words.h"

namespace leaktrace::leak {
namespace {

constexpr std::size_t kMostParts = 20;
constexpr std::size_t kFewestParts = 4;
constexpr double kBlocksPerPart = 4;  // fewer leave too many parts empty by chance
constexpr double kFewestBlocks = 8;   // that tell a slope from chance
constexpr double kFewestRises = 8;    // of a block that is enlarged

// Blocks per request or iteration that differ from a whole number by chance only.
bool IsWhole(double blocks) {
  const double whole = std::round(blocks);
  return whole >= 1 && std::abs(blocks - whole) <= std::max(0.006, 0.003 * whole);
}

// What has outlived the load as a function of how much of the load was done: y[i] at x[i], from (0, 0) on, x and y
// never falling.
class Curve {
 public:
  Curve(std::span<const double> progress, std::span<const double> births, std::uint32_t first, std::uint32_t last) {
    double sum = 0;
    Append(progress[first], 0);
    for (std::uint32_t i = first + 1; i <= last; ++i) {
      sum += births[i];
      Append(progress[i], sum);
    }
  }

  [[nodiscard]] double total() const { return y_.back(); }
  [[nodiscard]] double At(double x) const {
    if (x >= x_.back()) return y_.back();
    const auto above = std::upper_bound(x_.begin(), x_.end(), x);
    if (above == x_.begin()) return 0;
    const std::size_t i = static_cast<std::size_t>(above - x_.begin());
    return y_[i - 1] + (y_[i] - y_[i - 1]) * (x - x_[i - 1]) / (x_[i] - x_[i - 1]);
  }
  [[nodiscard]] double Between(double from, double to) const { return At(to) - At(from); }
  // The least x at which `share` of the total is reached.
  [[nodiscard]] double Reaches(double share) const {
    const auto at = std::lower_bound(y_.begin(), y_.end(), share * total());
    const std::size_t i = static_cast<std::size_t>(at - y_.begin());
    if (i == 0 || i >= y_.size()) return i == 0 ? x_.front() : x_.back();
    return x_[i - 1] + (x_[i] - x_[i - 1]) * (share * total() - y_[i - 1]) / (y_[i] - y_[i - 1]);
  }
  [[nodiscard]] std::size_t steps() const { return x_.size() - 1; }

 private:
  void Append(double x, double y) {
    if (!x_.empty() && x <= x_.back()) {
      y_.back() = y;
    } else {
      x_.push_back(x);
      y_.push_back(y);
    }
  }
  std::vector<double> x_, y_;
};

// Blocks that were born between two points and are never missing again, told from the floor alone: for traces whose
// survivors were counted after the process had torn itself down.
std::vector<double> BirthsFromFloor(const std::vector<double>& live, std::uint32_t end) {
  const std::vector<double> floor = LowerEnvelope(std::span(live).first(end + 1));
  std::vector<double> births(live.size(), 0);
  for (std::uint32_t i = 1; i <= end; ++i) births[i] = floor[i] - floor[i - 1];
  return births;
}

double Smallest(const std::vector<double>& values, std::uint32_t from, std::uint32_t to) {
  return *std::min_element(values.begin() + from, values.begin() + to + 1);
}

// Everything below works on one clock: `progress` of the load, 0..1.
class Judge {
 public:
  Judge(const Series& series, const Window& window, std::span<const double> progress, std::uint32_t last, Unit unit,
        double units)
      : series_(series),
        window_(window),
        progress_(progress),
        last_(last),
        unit_(unit),
        units_(units),
        block_births_(window.torn_down ? BirthsFromFloor(series.live_blocks, window.end) : series.survivor_blocks),
        byte_births_(window.torn_down ? BirthsFromFloor(series.live_bytes, window.end) : series.survivor_bytes),
        blocks_(progress, block_births_, window.first, last),
        bytes_(progress, byte_births_, window.first, last) {}

  Evidence Decide();

 private:
  [[nodiscard]] std::uint32_t PointAt(double progress) const;
  [[nodiscard]] double Retained(const std::vector<double>& live, double from) const;
  [[nodiscard]] std::string Per() const { return absl::StrCat(" per ", UnitName(unit_)); }
  void Conclude(Evidence& evidence, Class kind, double confidence, std::string reason) const;

  void FindTail();
  void FindOnset();
  void Measure(Evidence& evidence) const;
  void JudgeFewBlocks(Evidence& evidence) const;
  void JudgeLateGrowth(Evidence& evidence) const;
  void JudgeSteadyGrowth(Evidence& evidence) const;
  [[nodiscard]] bool InBursts() const;

  const Series& series_;
  const Window& window_;
  std::span<const double> progress_;
  std::uint32_t last_;
  Unit unit_;
  double units_;
  std::vector<double> block_births_, byte_births_;
  Curve blocks_, bytes_;

  std::size_t parts_ = kFewestParts;
  double onset_ = 0;  // the growth lies between these two
  double tail_ = 1;   // after it, what lives is mostly what is still in use
};

std::uint32_t Judge::PointAt(double progress) const {
  std::uint32_t point = window_.first;
  while (point < last_ && progress_[point] < progress) ++point;
  return point;
}

// How much higher the lowest level is in the last third than in the first third of what follows `from`.
double Judge::Retained(const std::vector<double>& live, double from) const {
  const double third = (1 - from) / 3;
  const double before = Smallest(live, PointAt(from), std::max(PointAt(from), PointAt(from + third)));
  return Smallest(live, PointAt(1 - third), window_.end) - before;
}

void Judge::Conclude(Evidence& evidence, Class kind, double confidence, std::string reason) const {
  evidence.kind = kind;
  evidence.confidence = std::clamp(confidence, 0.0, 1.0);
  evidence.reason = std::move(reason);
}

// Blocks that merely live for a while fill the last parts of the load far above the level of those before.
void Judge::FindTail() {
  std::vector<double> born;
  for (std::size_t i = 0; i < parts_; ++i) {
    born.push_back(blocks_.Between(static_cast<double>(i) / static_cast<double>(parts_),
                                   static_cast<double>(i + 1) / static_cast<double>(parts_)));
  }
  const std::size_t half = parts_ / 2;
  const double level = Median({born.begin(), born.begin() + static_cast<std::ptrdiff_t>(half)});
  std::size_t tail = parts_;
  while (tail > half && born[tail - 1] > 2 * level + 3 * std::sqrt(level) + 1) --tail;
  const double begin = static_cast<double>(tail) / static_cast<double>(parts_);
  // With next to nothing before, there is no level to compare with: it may as well be a growth that began late.
  if (blocks_.At(begin) >= kFewestBlocks) tail_ = begin;
}

void Judge::FindOnset() {
  // A steady growth has a tenth of itself after a tenth of the time in which it grows.
  const double tenth = blocks_.Reaches(0.1 * blocks_.At(tail_) / blocks_.total());
  if (tenth > 0.3 * tail_) onset_ = std::max(0.0, tenth - (tail_ - tenth) / 9);
}

void Judge::Measure(Evidence& evidence) const {
  const double width = tail_ - onset_;
  std::vector<double> x, bytes, blocks;
  for (std::size_t i = 0; i <= parts_; ++i) {
    const double at = onset_ + width * static_cast<double>(i) / static_cast<double>(parts_);
    x.push_back(at);
    bytes.push_back(bytes_.At(at));
    blocks.push_back(blocks_.At(at));
  }
  const RobustLine line = TheilSen(x, bytes);
  const RobustLine block_line = TheilSen(x, blocks);
  // The mean is exact where growth is steady. The robust slope is right where a single large block came between, where
  // the begin of the growth is only known roughly, and where it alone says that a call leaves whole blocks behind.
  const double blocks_mean = blocks_.Between(onset_, tail_) / width, bytes_mean = bytes_.Between(onset_, tail_) / width;
  const bool robust = onset_ > 0 || (!IsWhole(blocks_mean / units_) && IsWhole(block_line.slope / units_));
  const auto rate = [&](double mean, double slope) {
    return robust || std::abs(mean - slope) > 0.1 * mean ? slope : mean;
  };
  const double bytes_rate = rate(bytes_mean, line.slope);
  const double blocks_rate = rate(blocks_mean, block_line.slope);
  const auto growth = [&](const Curve& curve, double slope) {
    const double end = curve.Between(tail_, 1);
    return curve.At(tail_) + std::min(end, slope * (1 - tail_));
  };
  evidence.unit = unit_;
  evidence.fit = block_line.fit;
  evidence.growth_bytes = growth(bytes_, bytes_rate);
  evidence.growth_blocks = growth(blocks_, blocks_rate);
  evidence.bytes_per_unit = bytes_rate / units_;
  evidence.bytes_low = std::min(line.slope_low, bytes_rate) / units_;
  evidence.bytes_high = std::max(line.slope_high, bytes_rate) / units_;
  evidence.blocks_per_unit = blocks_rate / units_;
  if (unit_ == Unit::kIteration && !window_.marked) {
    // The iterations given are somewhere in the run, not spread over all of it.
    evidence.bytes_per_unit = evidence.bytes_low = evidence.bytes_high = evidence.growth_bytes / units_;
    evidence.blocks_per_unit = evidence.growth_blocks / units_;
  }
  if (unit_ != Unit::kSecond && IsWhole(evidence.blocks_per_unit)) {
    evidence.blocks_per_unit = std::round(evidence.blocks_per_unit);
  }
  evidence.onset = onset_;
  const double third = width / 3;
  const double early = blocks_.Between(onset_, onset_ + third), late = blocks_.Between(tail_ - third, tail_);
  evidence.flattening = early > 0 ? late / early : late > 0 ? 2 : 1;
}

// Too few blocks for a slope in blocks. Bytes may grow all the same: in a block that is enlarged again and again.
void Judge::JudgeFewBlocks(Evidence& evidence) const {
  const std::vector<double> floor = LowerEnvelope(std::span(series_.live_bytes).first(window_.end + 1));
  double rises = 0, early = 0, late = 0;
  for (std::uint32_t i = window_.first + 1; i <= last_; ++i) {
    const double rise = floor[i] - floor[i - 1];
    if (rise <= 0) continue;
    ++rises;
    if (progress_[i] <= 1.0 / 3) early += rise;
    if (progress_[i] > 2.0 / 3) late += rise;
  }
  const double risen = floor[last_] - floor[window_.first];
  const bool enlarged = evidence.growth_blocks <= 3 && risen > 0 && rises > evidence.growth_blocks + 2;
  if (enlarged && rises >= kFewestRises && early > 0 && late > 0.5 * early && late < 2 * early) {
    evidence.growth_bytes = evidence.retained_bytes = risen;
    evidence.bytes_per_unit = evidence.bytes_low = evidence.bytes_high = risen / units_;
    evidence.blocks_per_unit = 0;
    Conclude(evidence, Class::kLeak, 0.7,
             absl::StrCat("One block is enlarged again and again, by ", FormatBytes(evidence.bytes_per_unit), Per(),
                          ", and is never emptied: a buffer or list that only grows."));
    return;
  }
  if (enlarged) {
    evidence.growth_bytes = std::max(evidence.growth_bytes, risen);
    Conclude(evidence, Class::kUnclear, 0.3,
             absl::StrCat("A block was enlarged ", Count(rises, "time"), " and grew by ", FormatBytes(risen),
                          ": a table that grows with what it holds. A longer run shows whether it goes on."));
    return;
  }
  if (evidence.growth_blocks < 0.5) {
    Conclude(evidence, Class::kChurn, 0.9, "Nothing that it allocated during the load is left.");
    return;
  }
  const double from = blocks_.Reaches(0.05), to = blocks_.Reaches(0.95);
  if (blocks_.total() <= 2 || to - from < 0.12) {
    Conclude(evidence, Class::kOneTime, 0.7,
             absl::StrCat("Only ", Count(blocks_.total(), "block"), " of the load ",
                          blocks_.total() > 1 ? "live" : "lives", " on, allocated at one time."));
    return;
  }
  Conclude(evidence, Class::kUnclear, 0.3,
           absl::StrCat("Only ", Count(blocks_.total(), "block"),
                        " of the load live on: too few to tell a leak from chance. A longer run tells."));
}

bool Judge::InBursts() const {
  double largest = 0, filled = 0;
  const double width = (tail_ - onset_) / static_cast<double>(parts_);
  for (std::size_t i = 0; i < parts_; ++i) {
    const double born =
        blocks_.Between(onset_ + width * static_cast<double>(i), onset_ + width * static_cast<double>(i + 1));
    largest = std::max(largest, born);
    if (born > 0) ++filled;
  }
  return largest > 0.4 * blocks_.Between(onset_, tail_) || filled < 0.6 * static_cast<double>(parts_);
}

// Nothing of the first part of the load is left: either the leak began later, or blocks live for a while and these are
// the youngest.
void Judge::JudgeLateGrowth(Evidence& evidence) const {
  const std::uint32_t begin = PointAt(onset_);
  const double level = Smallest(series_.live_blocks, begin, window_.end);
  const double peak = *std::max_element(series_.live_blocks.begin(), series_.live_blocks.begin() + begin + 1);
  const double rise = series_.live_blocks[window_.end] - level;
  const double before = series_.allocations[begin] - series_.allocations[window_.first];
  const double after = series_.allocations[last_] - series_.allocations[begin];
  const double survival = after > 0 ? blocks_.total() / after : 1;
  const bool fell_before = peak - level > 0.5 * rise;
  const bool freed_before = before * (1 - onset_) > 0.2 * after * onset_;
  if (fell_before || (freed_before && survival < 0.9)) {
    Conclude(evidence, Class::kChurn, 0.8,
             absl::StrCat("Blocks come and go: all that lives was allocated in the last ", Percent(1 - onset_),
                          " of the load, and what was allocated before has been freed."));
    return;
  }
  const double early = blocks_.Between(onset_, onset_ + (1 - onset_) / 3),
               late = blocks_.Between(1 - (1 - onset_) / 3, 1);
  if (1 - onset_ < 0.15 || blocks_.total() < 2 * kFewestBlocks || early < 0.5 * late || late < 0.5 * early) {
    Conclude(evidence, Class::kUnclear, 0.3,
             absl::StrCat("It began to grow after ", Percent(onset_),
                          " of the load; what follows is too short to tell a leak from blocks that are still in use."));
    return;
  }
  const double count = blocks_.total() / (blocks_.total() + 10);
  Conclude(evidence, Class::kLeak, 0.8 * count * evidence.fit * (freed_before ? 0.8 : 1),
           absl::StrCat("It began after ", Percent(onset_), " of the load and has grown by ",
                        FormatBytes(evidence.bytes_per_unit), Per(), " since then; none of it was freed."));
}

void Judge::JudgeSteadyGrowth(Evidence& evidence) const {
  const double third = tail_ / 3;
  const double early = blocks_.Between(0, third), late = blocks_.Between(tail_ - third, tail_);
  const double certain = 2 * std::sqrt(early + late + 1);
  if (late < 0.5 * early && early - late > certain) {
    const bool stopped = late < 0.2 * early;
    Conclude(evidence, stopped || late < 0.35 * early ? Class::kWarmUp : Class::kUnclear, stopped ? 0.9 : 0.5,
             absl::StrCat("It flattens: the last third of the load left ", Percent(late / early),
                          " of what the first third left. ",
                          stopped ? "A cache or table that has filled up." : "A longer run shows whether it stops."));
    return;
  }
  if (late > 2 * early && late - early > certain) {
    const auto allocated = [&](double from, double to) {
      return std::max(1.0, series_.allocations[PointAt(to)] - series_.allocations[PointAt(from)]);
    };
    if (early / allocated(0, third) < 0.6 * late / allocated(tail_ - third, tail_)) {
      const bool stands = evidence.retained_blocks < 0.2 * blocks_.total();
      Conclude(evidence, stands ? Class::kChurn : Class::kUnclear, 0.5,
               "The older its blocks are, the fewer of them live: they are freed after a while. " +
                   std::string(stands ? "The level stays the same." : "A longer run shows at which level that ends."));
      return;
    }
  }
  // The lowest level of the last third must lie above that of the first third, by two thirds of the growth if nothing
  // is freed.
  if (evidence.retained_blocks < 0.3 * evidence.growth_blocks) {
    Conclude(
        evidence, Class::kChurn, 0.7,
        "New blocks take the place of old ones: as many were freed as were allocated, and the level stays the same.");
    return;
  }
  if (InBursts()) {
    Conclude(evidence, Class::kUnclear, 0.4,
             "It grows at a few moments only, not steadily. A longer run shows whether it goes on.");
    return;
  }
  const double born = blocks_.Between(0, tail_);
  const double count = born / (born + 10);
  const double bend = std::min(1.0, std::abs(std::log2((late + 1) / (early + 1))));
  const std::string blocks = Count(evidence.blocks_per_unit, "block");
  Conclude(
      evidence, Class::kLeak, count * evidence.fit * (1 - 0.3 * bend) * (window_.settled ? 1 : 0.95),
      absl::StrCat("Every part of the load left as much behind: ", blocks, " and ",
                   FormatBytes(evidence.bytes_per_unit), Per(), tail_ < 1 ? ", beneath blocks that come and go" : "",
                   ". None of it was freed", window_.settled ? ", not even after the load." : "."));
}

Evidence Judge::Decide() {
  Evidence evidence;
  evidence.allocations = series_.allocations[last_] - series_.allocations[window_.first];
  evidence.allocated_bytes = series_.allocated_bytes[last_] - series_.allocated_bytes[window_.first];
  const double total = blocks_.total();
  parts_ = std::clamp(static_cast<std::size_t>(total / kBlocksPerPart), kFewestParts, kMostParts);
  parts_ = std::clamp(parts_, std::size_t{1}, blocks_.steps());
  if (total >= kFewestBlocks && blocks_.steps() >= kFewestParts) {
    FindTail();
    FindOnset();
    if (onset_ > 0) tail_ = 1;
  }
  evidence.retained_blocks = Retained(series_.live_blocks, onset_);
  evidence.retained_bytes = Retained(series_.live_bytes, onset_);
  Measure(evidence);
  if (total < kFewestBlocks || blocks_.steps() < kFewestParts) {
    JudgeFewBlocks(evidence);
    return evidence;
  }
  const double from = blocks_.Reaches(0.05), to = blocks_.Reaches(0.95);
  if (to - from < 0.12) {
    if (to > 0.9) {
      Conclude(evidence, Class::kChurn, 0.8,
               "Blocks live for a short while: all that lives was allocated at the very end of the load.");
    } else {
      Conclude(evidence, Class::kOneTime, 0.9,
               absl::StrCat("Nearly all of it was allocated at one time, after ", Percent(from),
                            " of the load, and nothing since."));
    }
  } else if (to < 0.6) {
    Conclude(evidence, Class::kWarmUp, 0.9,
             absl::StrCat("It grew in the first ", Percent(to),
                          " of the load and not any more: a cache or table that has filled up."));
  } else if (onset_ > 0) {
    JudgeLateGrowth(evidence);
  } else {
    JudgeSteadyGrowth(evidence);
  }
  return evidence;
}

std::vector<double> TimeProgress(const ProcessHistory& process, std::uint32_t first, std::uint32_t last) {
  std::vector<double> progress;
  const double begin = process.timeline[first].time, span = process.timeline[last].time - begin;
  for (const TimelinePoint& point : process.timeline) {
    progress.push_back(span > 0 ? std::clamp((point.time - begin) / span, 0.0, 1.0) : 0);
  }
  return progress;
}

// Whether growth goes on with time while no requests are served, so that a rate per request would mean nothing.
bool GrowsWithTime(const Series& series, const ProcessHistory& process, const Window& window) {
  std::vector<double> requests, seconds, born;
  double all_time = 0, idle_time = 0, idle_born = 0, all_born = 0;
  for (std::uint32_t i = window.first + 1; i <= window.end; ++i) {
    const TimelinePoint &from = process.timeline[i - 1], &to = process.timeline[i];
    requests.push_back(static_cast<double>(to.requests_so_far - from.requests_so_far));
    seconds.push_back(to.time - from.time);
    born.push_back(series.survivor_blocks[i]);
    all_time += seconds.back();
    all_born += born.back();
    if (requests.back() == 0) {
      idle_time += seconds.back();
      idle_born += born.back();
    }
  }
  if (all_born < kFewestBlocks || idle_time < 0.1 * all_time) return false;
  if (idle_born > 0.8 * all_born) return true;
  const TwoRates rates = FitTwoRates(requests, seconds, born);
  double by_requests = 0;
  for (const double count : requests) by_requests += rates.a * count;
  return rates.b * all_time > 4 * by_requests && idle_born > 0.5 * all_born * idle_time / all_time;
}

}  // namespace

const char* ClassName(Class value) {
  switch (value) {
    case Class::kLeak:
      return "leak";
    case Class::kUnclear:
      return "unclear";
    case Class::kWarmUp:
      return "warm-up";
    case Class::kOneTime:
      return "one-time";
    case Class::kChurn:
      return "churn";
  }
  return "";
}

Series::Series(std::size_t points)
    : live_bytes(points),
      live_blocks(points),
      allocated_bytes(points),
      allocations(points),
      survivor_bytes(points),
      survivor_blocks(points) {}

void Series::Add(const SiteHistory& site) {
  for (std::size_t i = 0; i < site.points.size(); ++i) {
    const SitePoint& point = site.points[i];
    const std::size_t next = i + 1 < site.points.size() ? site.points[i + 1].point : live_bytes.size();
    for (std::size_t at = point.point; at < next; ++at) {
      live_bytes[at] += static_cast<double>(point.live_bytes);
      live_blocks[at] += static_cast<double>(point.live_blocks);
      allocated_bytes[at] += static_cast<double>(point.allocated_bytes_so_far);
      allocations[at] += static_cast<double>(point.allocations_so_far);
    }
  }
  for (const Survivors& survivors : site.survivors) {
    survivor_bytes[survivors.interval] += static_cast<double>(survivors.bytes);
    survivor_blocks[survivors.interval] += static_cast<double>(survivors.blocks);
  }
}

Evidence Weigh(const Series& series, const ProcessHistory& process, const Window& window) {
  const auto on_time = [&](std::uint32_t last, Unit unit, double units) {
    const std::vector<double> progress = TimeProgress(process, window.first, last);
    return Judge(series, window, progress, last, unit, units).Decide();
  };
  if (window.unit == Unit::kRequest && GrowsWithTime(series, process, window)) {
    Evidence evidence =
        on_time(window.end, Unit::kSecond, process.timeline[window.end].time - process.timeline[window.first].time);
    if (evidence.kind == Class::kLeak) {
      evidence.reason +=
          " It grows while no requests are served, so it is not theirs: look at timers and background work.";
    }
    return evidence;
  }
  Evidence evidence = Judge(series, window, window.progress, window.last, window.unit, window.units).Decide();
  if (window.unit == Unit::kRequest || evidence.kind == Class::kLeak) return evidence;
  // Without requests the clock is the program's allocations, which other work can distort.
  Evidence timed = on_time(window.last, window.unit, window.units);
  return timed.kind == Class::kLeak ? timed : evidence;
}

bool IsCandidate(const SiteHistory& site, const Window& window) {
  if (site.js_heap) return false;
  for (const Survivors& survivors : site.survivors) {
    if (survivors.interval > window.first && survivors.interval <= window.end && survivors.blocks > 0) return true;
  }
  std::uint64_t before = 0, after = 0;
  for (const SitePoint& point : site.points) {
    if (point.point <= window.first) before = point.live_bytes;
    if (point.point <= window.end) after = point.live_bytes;
  }
  return after > before;
}

}  // namespace leaktrace::leak
