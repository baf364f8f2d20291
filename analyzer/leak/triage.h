// Where the growth of the resident memory over the load went: a sum whose parts add up. A pure function.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analyzer/leak/history.h"
#include "analyzer/leak/window.h"

namespace leaktrace::leak {

// Bytes by which each part grew from the begin of the load to its end with what followed (Window::end); negative where
// it shrank. What is not known is empty and counts as 0 in the sum, so that it shows in `unexplained`.
struct Growth {
  std::optional<double> rss;
  std::optional<double> native_live;  // resident part of the heap blocks that are not the JavaScript heap
  std::optional<double> js_heap;
  std::optional<double> allocator;  // freed but not returned, fragmentation, headers
  std::optional<double> mappings;   // anonymous memory that no allocator and no JavaScript heap manages
  std::optional<double> stacks;
  std::optional<double> files;        // files, code and shared memory
  std::optional<double> tracer;       // tracing itself
  std::optional<double> unexplained;  // rss minus all of the above

  double native_requested = 0;  // native_live in requested bytes: more, where pages of blocks were never touched
  double untouched = 0;         // native_requested - native_live
  // What the runtime reports as native memory of JavaScript objects; part of native_live.
  std::optional<double> external;
  std::optional<double> js_heap_used;  // what the runtime reports as live objects; part of js_heap
};

// Taken between the samples with all parts that are nearest to the begin of the load and to the end of the window.
[[nodiscard]] Growth Triage(const ProcessHistory& process, const Window& window);

// By how much a series of samples rises steadily over the load: the lowest levels of its thirds, so that neither a
// collector's sawtooth nor a growth that stops counts. Never negative; empty where a third has no sample.
[[nodiscard]] std::optional<double> SteadyRise(const std::vector<std::pair<double, double>>& samples,
                                               const ProcessHistory& process, const Window& window);

// A sentence for each part that matters, largest first: what grew, by how much, how that is known.
[[nodiscard]] std::vector<std::string> Explain(const Growth& growth);

}  // namespace leaktrace::leak
