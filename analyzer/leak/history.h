// What the verdict is computed from: the history of the process and of each call site, as plain numbers. Whoever reads
// a trace fills these structs; everything else in this folder is a pure, deterministic function of them, safe to call
// from any thread.
//
// One timeline serves all. It is a bounded number of points (128 to 512 do well) in the order of time: the first at the
// target's start, the last at the end of the trace, one at each boundary of a run phase and one at the target's exit
// (before its teardown), the others spread evenly over time or over events. Interval i lies between point i - 1 and
// point i; interval 0 is empty.
//
// Bytes are requested bytes. Counters named `..._so_far` never decrease.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace leaktrace::leak {

struct TimelinePoint {
  double time = 0;                    // seconds since the target's start
  std::uint64_t requests_so_far = 0;  // requests that were answered, or begun where that is not known
  // Heap blocks of all call sites: the clock of a program that serves no requests.
  std::uint64_t allocations_so_far = 0;
  std::uint64_t live_bytes = 0;  // heap blocks, without those that are the JavaScript heap
  std::uint64_t live_blocks = 0;
  std::uint64_t js_live_bytes = 0;    // blocks that are the JavaScript heap
  std::uint64_t js_mapped_bytes = 0;  // mappings that are the JavaScript heap
  std::uint64_t mapped_bytes = 0;     // other mappings that are used as a whole, not reserved
};

struct PhaseSpan {
  std::string name;
  std::uint32_t first_point = 0;  // it begins here
  std::uint32_t last_point = 0;   // and ends here; a phase that comes again has a span for each time
  bool marked = true;             // by the user or the program; false: told from the traffic
};

// A sample of the resident memory. What is not known is empty, never 0.
struct MemorySample {
  double time = 0;
  std::uint64_t rss = 0;
  std::optional<std::uint64_t> anonymous;  // all memory that is not of files: heaps, JavaScript heap, mappings, stacks
  std::optional<std::uint64_t> js_heap;    // the part of it that the runtime has named as its heap
  std::optional<std::uint64_t> stacks;     // the part of it that is stacks
  std::optional<std::uint64_t> files;      // files, code and shared memory
  std::optional<std::uint64_t> tracer;     // shared memory of tracing itself; where empty, a part of files
};

// What the runtime says of its heap. What is not known is empty.
struct JsHeapSample {
  double time = 0;
  std::optional<std::uint64_t> heap_used = std::nullopt;
  std::optional<std::uint64_t> heap_total = std::nullopt;
  std::optional<std::uint64_t> external = std::nullopt;
  std::optional<std::uint64_t> array_buffers = std::nullopt;
};

struct ProcessHistory {
  std::vector<TimelinePoint> timeline;
  std::vector<PhaseSpan> phases;      // by first_point; may be empty
  std::vector<MemorySample> memory;   // by time
  std::vector<JsHeapSample> js_heap;  // by time
  // The target had begun to exit at this point: what is freed later says nothing.
  std::optional<std::uint32_t> exit_point;
  std::string runtime;   // "node", "bun" or "native"
  bool complete = true;  // false: events were lost, figures are lower bounds
};

// A call site's state at a point of the timeline. Points at which nothing has changed are left out: a value holds until
// the next.
struct SitePoint {
  std::uint32_t point = 0;
  std::uint64_t live_bytes = 0;
  std::uint64_t live_blocks = 0;
  std::uint64_t allocated_bytes_so_far = 0;
  std::uint64_t allocations_so_far = 0;
};

// Blocks that were allocated in an interval of the timeline and are live at the end (at the exit point, where there is
// one). Intervals without any are left out.
struct Survivors {
  std::uint32_t interval = 0;
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
};

enum class Memory : std::uint8_t { kHeap, kMapping };

struct SiteHistory {
  std::uint32_t site = 0;  // the caller's own number; results name sites by it
  Memory memory = Memory::kHeap;
  bool js_heap = false;              // its blocks are the JavaScript heap itself: never a suspect
  std::vector<SitePoint> points;     // by point
  std::vector<Survivors> survivors;  // by interval
};

}  // namespace leaktrace::leak
