#include "analyzer/leak/window.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace leaktrace::leak {
namespace {

constexpr double kWarmUpShare = 0.2;           // of a load that nobody marked
constexpr std::uint64_t kFewestRequests = 20;  // with fewer, rates per request say nothing
constexpr double kTeardownShare = 0.05;        // of the run's time: a teardown is at its end

using Timeline = std::vector<TimelinePoint>;

// The last point before the process tears itself down: hardly anything is allocated any more, and memory is freed in
// bulk that was there ever since it had started, which no garbage collection does.
std::uint32_t EndOfWork(const ProcessHistory& process, bool& torn_down) {
  const Timeline& timeline = process.timeline;
  const std::uint32_t last = static_cast<std::uint32_t>(timeline.size()) - 1;
  if (process.exit_point.has_value() && *process.exit_point > 0) return std::min(*process.exit_point, last);
  const double begin = timeline.front().time, span = timeline[last].time - begin;
  std::uint64_t always = UINT64_MAX;  // the lowest level of the run
  for (const TimelinePoint& point : timeline) {
    if (point.time < begin + 0.2 * span || point.time > begin + (1 - kTeardownShare) * span) continue;
    always = std::min(always, point.live_blocks);
  }
  if (always == UINT64_MAX || static_cast<double>(timeline[last].live_blocks) >= 0.75 * static_cast<double>(always)) {
    return last;
  }
  for (std::uint32_t i = last; i-- > 1 && timeline[i].time >= begin + (1 - kTeardownShare) * span;) {
    const double freed = static_cast<double>(timeline[i].live_blocks) - static_cast<double>(timeline[last].live_blocks);
    const double allocated = static_cast<double>(timeline[last].allocations_so_far - timeline[i].allocations_so_far);
    if (timeline[i].live_blocks >= always && freed > 8 * allocated) {
      torn_down = true;
      return i;
    }
  }
  return last;
}

// Ends the window where it has to and computes what follows from first and last.
absl::StatusOr<Window> Finish(Window window, const ProcessHistory& process) {
  const Timeline& timeline = process.timeline;
  window.last = std::min(window.last, window.end);
  if (window.first >= window.last) {
    return absl::FailedPreconditionError("the trace is too short to say what grows: record for longer");
  }
  const TimelinePoint& from = timeline[window.first];
  const TimelinePoint& to = timeline[window.last];
  const auto clock = [&](const TimelinePoint& point) {
    if (window.unit == Unit::kRequest) return static_cast<double>(point.requests_so_far);
    const bool allocates = to.allocations_so_far > from.allocations_so_far + 1000;
    return allocates ? static_cast<double>(point.allocations_so_far) : point.time;
  };
  const double begin = clock(from), span = clock(to) - clock(from);
  window.progress.reserve(timeline.size());
  for (const TimelinePoint& point : timeline) {
    window.progress.push_back(span > 0 ? std::clamp((clock(point) - begin) / span, 0.0, 1.0) : 0);
  }
  if (window.unit == Unit::kRequest) window.units = span;
  if (window.unit == Unit::kSecond) window.units = to.time - from.time;
  if (window.units <= 0)
    return absl::FailedPreconditionError("the trace is too short to say what grows: record for longer");
  const double load = to.time - from.time;
  window.settled = window.end > window.last && timeline[window.end].time - to.time > std::min(1.0, 0.05 * load);
  return window;
}

}  // namespace

const char* UnitName(Unit unit) {
  switch (unit) {
    case Unit::kRequest:
      return "request";
    case Unit::kIteration:
      return "iteration";
    case Unit::kSecond:
      return "second";
  }
  return "";
}

absl::StatusOr<Per> ParsePer(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  Per per;
  if (equals == std::string::npos || equals == 0 || !absl::SimpleAtod(text.substr(equals + 1), &per.iterations) ||
      !std::isfinite(per.iterations) || per.iterations <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "': expected PHASE=COUNT, for instance load=20000"));
  }
  per.phase = text.substr(0, equals);
  return per;
}

absl::StatusOr<Window> ChooseWindow(const ProcessHistory& process, const std::optional<Per>& per) {
  const Timeline& timeline = process.timeline;
  if (timeline.size() < 2)
    return absl::FailedPreconditionError("the trace is too short to say what grows: record for longer");
  Window window;
  window.end = EndOfWork(process, window.torn_down);

  const std::string wanted = per.has_value() ? per->phase : "load";
  std::set<std::string> names;
  for (const PhaseSpan& span : process.phases) {
    names.insert(span.name);
    if (!absl::EqualsIgnoreCase(span.name, wanted)) continue;
    if (window.phase.empty()) window.first = span.first_point;
    window.phase = span.name;
    window.marked = span.marked;
    window.last = std::max(window.last, span.last_point);
  }
  if (per.has_value()) {
    const bool nothing_marked =
        std::none_of(process.phases.begin(), process.phases.end(), [](const PhaseSpan& span) { return span.marked; });
    if (window.phase.empty() && nothing_marked) {
      window.last = window.end;
    } else if (window.phase.empty()) {
      return absl::NotFoundError(absl::StrCat("the trace has no phase called '", wanted, "'; it has: ",
                                              names.empty() ? std::string("none") : absl::StrJoin(names, ", ")));
    }
    window.unit = Unit::kIteration;
    window.units = per->iterations;
    return Finish(std::move(window), process);
  }
  const std::uint64_t all_requests = timeline[window.end].requests_so_far;
  if (!window.phase.empty() && window.last > window.first) {
    const std::uint64_t requests = timeline[window.last].requests_so_far - timeline[window.first].requests_so_far;
    window.unit = requests >= kFewestRequests ? Unit::kRequest : Unit::kSecond;
    if (window.marked || window.unit == Unit::kSecond) return Finish(std::move(window), process);
  }
  window.first = 0;
  window.last = window.end;
  if (all_requests >= kFewestRequests) {
    window.unit = Unit::kRequest;
    while (window.first < window.end && static_cast<double>(timeline[window.first].requests_so_far) <
                                            kWarmUpShare * static_cast<double>(all_requests)) {
      ++window.first;
    }
    while (window.last > 0 && timeline[window.last - 1].requests_so_far == all_requests) --window.last;
    return Finish(std::move(window), process);
  }
  window.unit = Unit::kSecond;
  const double allocations = static_cast<double>(timeline[window.end].allocations_so_far);
  while (window.first < window.end &&
         (timeline[window.first].time < kWarmUpShare * timeline[window.end].time ||
          static_cast<double>(timeline[window.first].allocations_so_far) < kWarmUpShare * allocations)) {
    ++window.first;
  }
  if (window.first == window.end) window.first = window.end / 2;
  return Finish(std::move(window), process);
}

}  // namespace leaktrace::leak
