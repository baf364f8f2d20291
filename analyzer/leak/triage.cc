#include "analyzer/leak/triage.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzer/leak/words.h"

namespace leaktrace::leak {
namespace {

// The last sample that is not later than `time`, or the first one.
template <typename Sample>
const Sample* At(const std::vector<Sample>& samples, double time) {
  const Sample* found = samples.empty() ? nullptr : &samples.front();
  for (const Sample& sample : samples) {
    if (sample.time <= time) found = &sample;
  }
  return found;
}

using Bytes64 = std::optional<std::uint64_t>;

std::optional<double> Difference(const Bytes64& before, const Bytes64& after) {
  if (!before.has_value() || !after.has_value()) return std::nullopt;
  return static_cast<double>(*after) - static_cast<double>(*before);
}

double Change(std::uint64_t before, std::uint64_t after) {
  return static_cast<double>(after) - static_cast<double>(before);
}

// Growth of the runtime's own figures, where they were sampled on both sides of the load.
struct RuntimeGrowth {
  std::optional<double> used, total, external;
};

RuntimeGrowth OfRuntime(const ProcessHistory& process, double begin, double end) {
  const JsHeapSample* before = At(process.js_heap, begin);
  const JsHeapSample* after = At(process.js_heap, end);
  if (before == nullptr || before == after) return {};
  return {Difference(before->heap_used, after->heap_used), Difference(before->heap_total, after->heap_total),
          Difference(before->external, after->external)};
}

// Splits what the allocators' regions grew by into blocks that live and what is kept besides. Blocks whose pages were
// never touched take no memory: then more was requested than became resident.
void SplitHeap(Growth& growth, double heap, double js_blocks) {
  const double blocks = growth.native_requested + js_blocks;
  const double kept = heap - blocks;
  if (kept >= 0 || growth.native_requested <= 0) {
    growth.allocator = kept;
    growth.native_live = growth.native_requested;
    return;
  }
  growth.native_live = std::max(0.0, heap - js_blocks);
  growth.untouched = growth.native_requested - *growth.native_live;
  growth.allocator = heap - js_blocks - *growth.native_live;
}

}  // namespace

Growth Triage(const ProcessHistory& process, const Window& window) {
  Growth growth;
  const TimelinePoint &first = process.timeline[window.first], &end = process.timeline[window.end];
  growth.native_requested = Change(first.live_bytes, end.live_bytes);
  growth.native_live = growth.native_requested;
  const double js_blocks = Change(first.js_live_bytes, end.js_live_bytes);
  const RuntimeGrowth runtime = OfRuntime(process, first.time, end.time);
  growth.external = runtime.external;
  growth.js_heap_used = runtime.used;

  const MemorySample* before = At(process.memory, first.time);
  const MemorySample* after = At(process.memory, end.time);
  if (before == nullptr || before == after) {
    if (runtime.total.has_value() || js_blocks != 0) growth.js_heap = js_blocks != 0 ? js_blocks : *runtime.total;
    return growth;
  }
  growth.rss = Change(before->rss, after->rss);
  growth.stacks = Difference(before->stacks, after->stacks);
  growth.code = Difference(before->code, after->code);
  growth.files = Difference(before->files, after->files);
  const std::optional<double> js_regions = Difference(before->js_heap, after->js_heap);
  if (js_regions.has_value()) {
    growth.js_heap = *js_regions + js_blocks;
  } else if (js_blocks != 0) {
    growth.js_heap = js_blocks;
  } else if (runtime.total.has_value()) {
    growth.js_heap = runtime.total;
  }

  const std::optional<double> heap = Difference(before->heap, after->heap);
  const std::optional<double> others = Difference(before->mappings, after->mappings);
  const std::optional<double> anonymous = Difference(before->anonymous, after->anonymous);
  if (heap.has_value()) {
    SplitHeap(growth, *heap, js_blocks);
    growth.mappings = others;
  } else if (anonymous.has_value()) {
    // What was mapped by calls that were seen cannot be more than what became resident besides blocks and JavaScript
    // heap.
    const double js = js_regions.has_value() ? *js_regions : js_blocks != 0 ? 0 : growth.js_heap.value_or(0);
    const double besides = *anonymous - js - js_blocks - growth.native_requested;
    growth.mappings = std::clamp(Change(first.mapped_bytes, end.mapped_bytes), 0.0, std::max(0.0, besides));
    SplitHeap(growth, *anonymous - js - *growth.mappings, js_blocks);
  }
  double explained = 0;
  for (const std::optional<double>& part : {growth.native_live, growth.js_heap, growth.allocator, growth.mappings,
                                            growth.stacks, growth.code, growth.files}) {
    explained += part.value_or(0);
  }
  growth.unexplained = *growth.rss - explained;
  return growth;
}

std::optional<double> SteadyRise(const std::vector<std::pair<double, double>>& samples, const ProcessHistory& process,
                                 const Window& window) {
  const double begin = process.timeline[window.first].time, end = process.timeline[window.end].time;
  const double third = (process.timeline[window.last].time - begin) / 3;
  std::optional<double> early, late;
  std::size_t count = 0;
  for (const auto& [time, value] : samples) {
    if (time < begin || time > end) continue;
    ++count;
    if (time <= begin + third) early = std::min(early.value_or(value), value);
    if (time >= begin + 2 * third) late = std::min(late.value_or(value), value);
  }
  if (count < 4 || !early.has_value() || !late.has_value()) return std::nullopt;
  // The lowest levels of the two thirds are two thirds of the load apart.
  return (*late - *early) * 1.5;
}

std::vector<std::string> Explain(const Growth& growth) {
  std::vector<std::pair<double, std::string>> parts;
  const auto add = [&](const std::optional<double>& bytes, const std::string& what, const std::string& how) {
    if (bytes.has_value() && *bytes != 0)
      parts.emplace_back(*bytes, absl::StrCat(Bytes(*bytes), " ", what, " (", how, ")"));
  };
  add(growth.native_live, "native blocks that live", "every allocation and free was recorded");
  add(growth.js_heap, "JavaScript heap",
      growth.js_heap_used.has_value()
          ? absl::StrCat("live objects ", Bytes(*growth.js_heap_used), ", by the runtime's own count")
          : std::string("pages of the engine's heap"));
  add(growth.allocator, "kept by the allocator", "resident memory of its regions less the blocks that live there");
  add(growth.mappings, "mappings", "resident anonymous memory outside the heaps");
  add(growth.stacks, "thread stacks", "resident memory of the threads' stacks");
  add(growth.code, "code", "resident executable pages");
  add(growth.files, "files and shared memory", "resident pages of mapped files");
  add(growth.unexplained, "unexplained", "resident, and in none of these");
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto& a, const auto& b) { return std::abs(a.first) > std::abs(b.first); });
  std::vector<std::string> sentences;
  for (auto& [bytes, text] : parts) sentences.push_back(std::move(text));
  if (growth.untouched > 0.05 * growth.native_requested && growth.untouched > 1e5) {
    sentences.push_back(absl::StrCat(Bytes(growth.native_requested), " of blocks were requested, of which ",
                                     Bytes(growth.untouched), " were never touched and take no memory"));
  }
  return sentences;
}

}  // namespace leaktrace::leak
