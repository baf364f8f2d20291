// Everything that is known of a trace, in memory that is bounded by its stacks, origins and modules, not by its length:
// what reports, evidence and exports are made from. Plain data; made by LoadTrace (load.h), never changed afterwards,
// and then safe to read from several threads.
//
// Times are nanoseconds since the target's start; bytes of the heap are as requested.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/model/origin.h"
#include "analyzer/model/stack_tree.h"
#include "analyzer/model/timeline.h"

namespace leaktrace::model {

struct Program {
  std::string executable;
  std::vector<std::string> arguments;
  std::uint32_t pid = 0, parent_pid = 0;
  std::string build_id;         // raw bytes, empty = none
  std::string runtime_name;     // "node", "bun" or "native"
  std::string runtime_version;  // "" = not known
  std::string working_directory;
  std::uint64_t start_realtime = 0;  // ns since 1970
  std::string clock;                 // "tsc" or "sequence"
  std::string recorder_version;
  std::uint32_t page_size = 0, cpus = 0;
  std::vector<std::pair<std::string, std::string>> options;
};

// A module as the trace lists it; what is not a load is an unload.
struct Module {
  std::string path;
  std::string build_id;            // raw bytes, empty = none
  std::uint64_t load_address = 0;  // what is added to the ELF file's addresses
  std::uint64_t begin = 0, end = 0;
  std::uint64_t text_begin = 0, text_end = 0;
  std::uint64_t loaded_at = 0;  // ns since the start
  FrameId first_frame = 0;      // frames with this or a later id were captured after this
  bool unloaded = false;        // true: from here on the module at load_address is gone
  std::uint32_t unwind_rows = 0;
  std::uint32_t unwind_unsupported = 0;
};

struct End {
  enum class Kind { kExit, kSignal, kExec, kRunning, kLost };
  // kRunning: the trace has no end yet. kLost: it has an end that says nothing of the target's. kExec: another program
  // replaced it.
  Kind kind = Kind::kRunning;
  int status = 0;  // exit status or signal
  bool out_of_memory_kill = false;
  std::string stop_reason;  // "" = recorded to the end
  std::uint64_t time = 0;   // of the last thing that is known
};

struct AllocatorIntegrity {
  std::string name;
  std::uint64_t allocations = 0, frees = 0;
  std::uint64_t unknown_frees = 0;  // of pointers that no recorded allocation returned
  std::uint64_t overlaps = 0;       // allocations at the address of a live block: its free was not seen
  bool complete = true;             // every entry point of it was hooked
  std::string state;                // "" or why it is not hooked
};

// How far the numbers can be trusted.
struct Integrity {
  std::vector<AllocatorIntegrity> allocators;  // [0] is libc
  std::uint64_t dropped = 0;
  std::uint64_t truncated_stacks = 0, broken_stacks = 0;
  std::uint64_t waits = 0;  // times that a thread waited for the recorder
  std::uint64_t damaged_chunks = 0, unknown_chunks = 0, lost_events = 0;
  std::vector<std::string> damage;  // a line each, as far as they are kept

  // Share of the events of the heap whose counterpart is known: 1 - (unknown frees + overlaps + dropped + lost) / all.
  // 1 without events.
  [[nodiscard]] double Coverage() const;
};

struct MemorySample {
  struct Category {
    std::uint32_t name = 0;  // index into TraceModel::memory_categories
    std::uint64_t rss = 0, pss = 0, virtual_bytes = 0, anonymous = 0;
  };
  std::uint64_t time = 0, event = 0;
  std::uint64_t rss = 0, pss = 0;
  std::uint64_t live_bytes = 0, live_blocks = 0;
  std::uint64_t mapped_bytes = 0;
  std::vector<Category> categories;
};

struct JsHeapSample {
  std::uint64_t time = 0, event = 0;
  std::optional<std::uint64_t> heap_used, heap_total, external, array_buffers, rss;
  std::string object_counts;  // JSON object, "" = none
};

// A span of the timeline. Spans follow each other without gap from the start to the end of the trace.
struct RunPhase {
  std::string name;
  bool detected = false;  // from the traffic, not from a mark
  std::uint64_t start = 0, end = 0;
  std::uint64_t first_event = 0, end_event = 0;
  std::uint64_t first_allocation = 0, end_allocation = 0;
  std::uint64_t requests = 0;
  std::uint64_t allocations = 0, frees = 0;            // of the heap, within the span
  std::uint64_t allocated_bytes = 0, freed_bytes = 0;  // likewise
  std::uint64_t live_bytes = 0, live_blocks = 0;       // of the heap, at its end
  std::size_t start_checkpoint = 0,
              end_checkpoint = 0;  // checkpoints at its start and its end; exact for marked phases
};

// Of what an origin allocated (or mapped) within one run phase and between two checkpoints: what is live at the end,
// or, where the target exited by itself, was live when it began to exit: what teardown frees would have stayed in a
// server that runs on.
struct Survivors {
  OriginId origin = 0;
  std::uint32_t run_phase = 0;   // index into TraceModel::run_phases
  std::uint32_t checkpoint = 0;  // allocated before this checkpoint and after the one before it
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
};

struct LiveMapping {
  OriginId origin = 0;
  std::uint64_t address = 0;  // as mapped
  std::uint64_t bytes = 0;    // what is left of it
  std::uint64_t event = 0;    // that mapped it
  std::uint64_t time = 0;
  std::uint32_t protection = 0, flags = 0;  // as passed to mmap
  bool anonymous = true;
};

struct Peak {
  std::uint64_t live_bytes = 0, live_blocks = 0;
  std::uint64_t time = 0, event = 0, requests = 0;
};

// The target began to exit: exit, _exit or the end of main.
struct Exit {
  std::uint64_t time = 0, event = 0;
  std::size_t checkpoint = 0;  // the state at this moment
  std::uint64_t live_bytes = 0, live_blocks = 0;
};

struct Mark {
  std::uint64_t time = 0, event = 0;
  std::uint16_t kind = 0;  // MarkKind, 16 fork, 17 exec, 18 spawn, 19 exit
  std::uint16_t source = 0;
  std::string text;
  std::int64_t value = 0;
};

struct Thread {
  std::uint32_t index = 0, tid = 0;
  std::string name;
  std::uint64_t start = 0, end = 0;  // end 0: lived to the end
};

// JavaScript code, as it was resolved while recording.
struct JsScript {
  std::uint32_t id = 0;
  std::string url;
  std::string source;  // zstd; may be empty
  std::uint64_t source_hash = 0;
};
struct JsFunction {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t script = 0;
  std::string url;
  std::uint32_t line = 0, column = 0;  // of the definition, from 1; 0 = unknown
  std::uint32_t start = 0, end = 0;    // offsets in the source
  std::uint16_t tier = 0;              // format::CodeKind
};
struct JsFrame {
  std::uint32_t function = 0;  // JsFunction::id
  std::int32_t position = -1;  // of the call in the source; -1 = unknown
  std::uint32_t line = 0;      // of the call in the user's file, from 1; 0 = unknown
};

// A line of a frame as a bundle resolved it; several for inlined calls, innermost first.
struct BundledLine {
  std::string function, module, file;
  std::uint64_t offset = 0;
  std::uint32_t line = 0;
  std::uint16_t kind = 0;
  bool inlined = false;
  std::string evidence;  // where a recovered name comes from
};

struct HookedFunction {
  std::uint64_t address = 0;  // in the executable's addresses
  std::string name;
  std::uint16_t allocator = 0, entry_point = 0, role = 0;
  bool patched = false;
};

struct TraceModel {
  std::string path;
  std::uint64_t trace_bytes = 0;
  bool complete = false;  // the recorder finished it
  Program program;
  End end;
  std::uint64_t duration = 0;
  std::uint64_t events = 0;
  std::uint64_t requests = 0;  // 0 also where none can be seen: see saw_server
  bool saw_server = false;     // connections were accepted or requests were counted
  std::uint64_t recorder_cpu = 0, recorder_peak_rss = 0;

  StackTree stacks;
  std::vector<Module> modules;       // loads and unloads in the order of the trace
  std::vector<Origin> origins;       // [kLostOrigin] is not a real one
  std::vector<OriginTotals> totals;  // by OriginId
  Timeline timeline;
  std::vector<Survivors> survivors;  // ordered by checkpoint, then run phase, then origin
  std::vector<LiveMapping> live_mappings;
  Peak peak;
  std::optional<Exit> exit;
  std::uint64_t allocations = 0, frees = 0, allocated_bytes = 0, freed_bytes = 0;  // of the heap
  std::uint64_t live_bytes = 0, live_blocks = 0;                                   // of the heap, at the end
  std::uint64_t mapped_bytes = 0, mappings = 0;                                    // by mmap, at the end

  std::vector<RunPhase> run_phases;  // at least one
  std::vector<MemorySample> memory;  // thinned to a few thousand
  std::vector<std::string> memory_categories;
  std::vector<JsHeapSample> js_heap;  // likewise
  std::vector<Mark> marks;
  std::vector<std::string> routes;  // [0] is ""
  std::vector<Thread> threads;
  std::uint64_t thread_count = 0;  // ever

  std::vector<JsScript> js_scripts;
  absl::flat_hash_map<std::uint32_t, JsFunction> js_functions;  // by id
  absl::flat_hash_map<FrameId, JsFrame> js_frames;
  absl::flat_hash_map<FrameId, std::vector<BundledLine>> bundled;
  std::vector<std::string> hooked_allocators;
  std::vector<HookedFunction> hooked_functions;

  Integrity integrity;

  // "libc", "mimalloc v3", ...
  [[nodiscard]] std::string_view AllocatorName(std::uint8_t allocator) const;
};

// "accept", "receive", ...; "" for kNone.
[[nodiscard]] std::string_view RequestPhaseName(format::RequestPhase phase);
// "malloc", "operator new[]", "mmap", ...; "" for kUnknown.
[[nodiscard]] std::string_view EntryPointName(format::EntryPoint entry);

}  // namespace leaktrace::model
