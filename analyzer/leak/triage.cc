#include "analyzer/leak/triage.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzer/base/quantity.h"

namespace leaktrace::leak {
namespace {

// The sample nearest to `time` among those that `wanted` takes.
template <typename Sample, typename Wanted>
const Sample* Nearest(const std::vector<Sample>& samples, double time, const Wanted& wanted) {
  const Sample* found = nullptr;
  for (const Sample& sample : samples) {
    if (!wanted(sample)) continue;
    if (found == nullptr || std::abs(sample.time - time) < std::abs(found->time - time)) found = &sample;
  }
  return found;
}

using Bytes64 = std::optional<std::uint64_t>;

std::optional<double> Difference(const Bytes64& before, const Bytes64& after) {
  if (!before.has_value() || !after.has_value()) return std::nullopt;
  return static_cast<double>(*after) - static_cast<double>(*before);
}

// A figure of the timeline between its points.
double Interpolate(const std::vector<TimelinePoint>& timeline, std::uint64_t TimelinePoint::*figure, double time) {
  std::size_t above = 0;
  while (above < timeline.size() && timeline[above].time < time) ++above;
  if (above == 0) return static_cast<double>(timeline.front().*figure);
  if (above == timeline.size()) return static_cast<double>(timeline.back().*figure);
  const TimelinePoint &from = timeline[above - 1], &to = timeline[above];
  const double share = (time - from.time) / (to.time - from.time);
  return (1 - share) * static_cast<double>(from.*figure) + share * static_cast<double>(to.*figure);
}

// Splits what anonymous memory outside the JavaScript heap's own regions grew by into blocks that live, mappings, and
// what the allocator keeps besides. Blocks whose pages were never touched take no memory: then more was requested than
// became resident.
void SplitAnonymous(Growth& growth, double resident, double js_blocks, double mapped) {
  const double besides = resident - js_blocks - growth.native_requested;
  if (besides >= 0 || growth.native_requested <= 0) {
    growth.native_live = growth.native_requested;
    growth.mappings = std::clamp(mapped, 0.0, std::max(0.0, besides));
    growth.allocator = besides - *growth.mappings;
    return;
  }
  growth.native_live = std::max(0.0, resident - js_blocks);
  growth.untouched = growth.native_requested - *growth.native_live;
  growth.mappings = 0;
  growth.allocator = resident - js_blocks - *growth.native_live;
}

}  // namespace

Growth Triage(const ProcessHistory& process, const Window& window) {
  Growth growth;
  double begin = process.timeline[window.first].time, end = process.timeline[window.end].time;
  const auto whole = [](const MemorySample& sample) { return sample.anonymous.has_value(); };
  const auto any = [](const MemorySample&) { return true; };
  const MemorySample* before = Nearest(process.memory, begin, whole);
  const MemorySample* after = Nearest(process.memory, end, whole);
  // Whole samples are rare in a short run; then the total alone is told.
  if (before == after || std::abs(before->time - begin) + std::abs(after->time - end) > 0.2 * (end - begin)) {
    before = Nearest(process.memory, begin, any);
    after = Nearest(process.memory, end, any);
  }
  const bool sampled = before != after;
  if (sampled) {
    begin = before->time;
    end = after->time;
  }
  const auto change = [&](std::uint64_t TimelinePoint::*figure) {
    return Interpolate(process.timeline, figure, end) - Interpolate(process.timeline, figure, begin);
  };
  growth.native_requested = change(&TimelinePoint::live_bytes);
  growth.native_live = growth.native_requested;
  const double js_blocks = change(&TimelinePoint::js_live_bytes);
  const double js_mapped = change(&TimelinePoint::js_mapped_bytes);

  const auto reported = [](const JsHeapSample& sample) { return sample.heap_used.has_value(); };
  const JsHeapSample* js_before = Nearest(process.js_heap, begin, reported);
  const JsHeapSample* js_after = Nearest(process.js_heap, end, reported);
  std::optional<double> js_total;
  if (js_before != js_after) {
    growth.js_heap_used = Difference(js_before->heap_used, js_after->heap_used);
    growth.external = Difference(js_before->external, js_after->external);
    js_total = Difference(js_before->heap_total, js_after->heap_total);
    // Bun counts the native memory of objects as used heap.
    if (process.runtime == "bun" && growth.js_heap_used.has_value()) {
      growth.js_heap_used = *growth.js_heap_used - growth.external.value_or(0);
    }
  }
  if (!sampled) {
    growth.js_heap = js_total.value_or(js_blocks + js_mapped);
    return growth;
  }
  growth.rss = static_cast<double>(after->rss) - static_cast<double>(before->rss);
  growth.stacks = Difference(before->stacks, after->stacks);
  // Where one of the samples does not tell the tracer's memory from files, both are files.
  growth.tracer = Difference(before->tracer, after->tracer);
  const auto files = [&](const MemorySample& sample) -> std::optional<std::uint64_t> {
    if (!sample.files.has_value()) return std::nullopt;
    return *sample.files + (growth.tracer.has_value() ? 0 : sample.tracer.value_or(0));
  };
  growth.files = Difference(files(*before), files(*after));

  // The heap's regions: as the runtime named them; else the runtime's own count, of which blocks are counted apart;
  // else what was mapped.
  const std::optional<double> named = Difference(before->js_heap, after->js_heap);
  double js_regions = named.has_value() && *named != 0 ? *named
                      : js_blocks != 0                 ? 0
                      : js_total.has_value()           ? *js_total
                                                       : js_mapped;
  const std::optional<double> anonymous = Difference(before->anonymous, after->anonymous);
  if (anonymous.has_value() && !(named.has_value() && *named != 0)) {
    // The runtime counts pages that it has not touched yet.
    const double room = *anonymous - growth.stacks.value_or(0) - js_blocks - growth.native_requested;
    js_regions = std::min(js_regions, std::max(room, growth.js_heap_used.value_or(0)));
  }
  growth.js_heap = js_regions + js_blocks;
  if (anonymous.has_value()) {
    SplitAnonymous(growth, *anonymous - js_regions - growth.stacks.value_or(0), js_blocks,
                   change(&TimelinePoint::mapped_bytes));
  }
  double explained = 0;
  for (const std::optional<double>& part : {growth.native_live, growth.js_heap, growth.allocator, growth.mappings,
                                            growth.stacks, growth.files, growth.tracer}) {
    explained += part.value_or(0);
  }
  growth.unexplained = *growth.rss - explained;
  return growth;
}

std::optional<double> SteadyRise(const std::vector<std::pair<double, double>>& samples, const ProcessHistory& process,
                                 const Window& window) {
  const double begin = process.timeline[window.first].time, end = process.timeline[window.end].time;
  const double third = (process.timeline[window.last].time - begin) / 3;
  std::optional<double> lowest[3];
  for (const auto& [time, value] : samples) {
    if (time < begin || time > end) continue;
    std::optional<double>& low = lowest[time < begin + third ? 0 : time < begin + 2 * third ? 1 : 2];
    low = std::min(low.value_or(value), value);
  }
  if (!lowest[0].has_value() || !lowest[1].has_value() || !lowest[2].has_value()) return std::nullopt;
  // The smaller step counts: what has grown in one part only does not grow steadily.
  return 3 * std::max(0.0, std::min(*lowest[1] - *lowest[0], *lowest[2] - *lowest[1]));
}

std::vector<std::string> Explain(const Growth& growth) {
  std::vector<std::pair<double, std::string>> parts;
  const auto add = [&](const std::optional<double>& bytes, const std::string& what, const std::string& how) {
    if (bytes.has_value() && *bytes != 0)
      parts.emplace_back(*bytes, absl::StrCat(FormatBytes(*bytes), " ", what, " (", how, ")"));
  };
  add(growth.native_live, "native blocks that live", "every allocation and free was recorded");
  add(growth.js_heap, "JavaScript heap",
      growth.js_heap_used.has_value()
          ? absl::StrCat("live objects ", FormatBytes(*growth.js_heap_used), ", by the runtime's own count")
          : std::string("pages of the engine's heap"));
  add(growth.allocator, "kept by the allocator", "resident memory of the heaps less the blocks that live there");
  add(growth.mappings, "mappings", "resident anonymous memory outside the heaps");
  add(growth.stacks, "thread stacks", "resident memory of the threads' stacks");
  add(growth.files, "files, code and shared memory", "resident pages of mapped files");
  add(growth.tracer, "tracing itself", "leaktrace's own memory in the process");
  add(growth.unexplained, "unexplained", "resident, and in none of these");
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto& a, const auto& b) { return std::abs(a.first) > std::abs(b.first); });
  std::vector<std::string> sentences;
  for (auto& [bytes, text] : parts) sentences.push_back(std::move(text));
  if (growth.untouched > 0.05 * growth.native_requested && growth.untouched > 1e5) {
    sentences.push_back(absl::StrCat(FormatBytes(growth.native_requested), " of blocks were requested, of which ",
                                     FormatBytes(growth.untouched), " were never touched and take no memory"));
  }
  return sentences;
}

}  // namespace leaktrace::leak
