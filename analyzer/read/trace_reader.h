// Reads a trace file as a stream: definitions, decoded batches of events, samples, in the order of the file. A damaged
// or truncated file is read up to and beyond the damage; what was lost is listed.
//
// Guarantees
// - Memory is bounded by the frames and kinds of the trace, the blocks that are live, and one chunk: not by the length
// of the trace.
// - No input crashes the reader or makes it allocate without bound: every count and size of the file is checked before
// it is used.
// - Ids that reach a visitor are valid: a stack is 0 or a frame that was delivered before, a parent is smaller than its
// frame, a kind is
//   kLostKind or was delivered before.
// - A visitor is called from the thread that called ReadTrace. What a call hands over is valid during that call only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "analyzer/trace/event_block.h"
#include "analyzer/trace/operation.h"
#include "analyzer/trace/side_record.h"
#include "format/chunk.h"
#include "format/ring.h"
#include "format/trace.capnp.h"

namespace leaktrace::read {

// Nodes of the stack tree. Frame `first_id + i` is described by the i-th element of each column.
struct FrameBatch {
  std::uint32_t first_id = 1;
  absl::Span<const std::uint32_t> parents;  // the caller's frame, 0 = outermost; always smaller than the frame's own id
  absl::Span<const format::FrameKind> kinds;
  absl::Span<const std::uint64_t> values;
  absl::Span<const std::uint32_t> auxiliaries;
};

// What an allocation or mapping has in common with others. Kind `first_id + i` is described by the i-th element of each
// column.
struct KindBatch {
  std::uint32_t first_id = 1;
  absl::Span<const std::uint32_t> stacks;  // innermost frame, 0 = no stack
  absl::Span<const std::uint64_t>
      sizes;  // bytes; meaningless where the flag kSizeVaries is set: the event has the size then
  absl::Span<const trace::KindAttributes> attributes;
  absl::Span<const std::uint32_t> routes;  // number of the route (MarkList.routes, from 1), 0 = none
};

// Stands for the kind of a block whose allocation was in a chunk that is lost.
inline constexpr std::uint32_t kLostKind = 0;

using trace::MappingPart;
using trace::SideRecord;
using trace::ThreadRun;
using trace::TimeRun;

// Events in time order. Event i of the batch has the number first_event + i.
struct EventBatch {
  std::uint64_t first_event = 0;
  std::uint64_t first_allocation = 0;
  std::uint64_t start_time = 0, end_time = 0;  // ns since the start
  absl::Span<const trace::Operation> operations;
  // One element for each kAllocate and kReallocate, in order; the i-th is allocation number first_allocation + i.
  absl::Span<const std::uint32_t> kinds;
  absl::Span<const std::uint64_t> sizes;  // requested bytes
  // One element for each kFree, kReallocate and kOverlap, in order: the block that ended. Where it was allocated in a
  // lost chunk, its kind is kLostKind and its size 0.
  absl::Span<const std::uint64_t> released;  // allocation number
  absl::Span<const std::uint32_t> released_kinds;
  absl::Span<const std::uint64_t> released_sizes;
  absl::Span<const TimeRun> time_runs;      // their events add up to all events
  absl::Span<const ThreadRun> thread_runs;  // likewise
  absl::Span<const SideRecord> side_records;
};

// A heap block that is live after the last event.
struct LiveBlock {
  std::uint64_t allocation = 0;  // its number
  std::uint64_t size = 0;        // requested bytes
  std::uint32_t kind = kLostKind;
};

class TraceVisitor {
 public:
  virtual ~TraceVisitor() = default;
  // Once, before anything else but damage.
  virtual void OnHeader(format::trace::TraceHeader::Reader) {}
  virtual void OnModules(format::trace::ModuleList::Reader) {}
  virtual void OnFrames(const FrameBatch&) {}
  virtual void OnKinds(const KindBatch&) {}
  virtual void OnEvents(const EventBatch&) {}
  virtual void OnMarks(format::trace::MarkList::Reader) {}
  virtual void OnMemory(format::trace::MemorySamples::Reader) {}
  virtual void OnJsHeap(format::trace::JsHeapSamples::Reader) {}
  virtual void OnCode(format::trace::CodeNames::Reader) {}
  // Totals so far; the last one counts.
  virtual void OnCounters(format::trace::Counters::Reader) {}
  virtual void OnHookMap(format::trace::HookMap::Reader) {}
  virtual void OnFooter(format::trace::Footer::Reader) {}
  virtual void OnSymbols(format::trace::SymbolTable::Reader) {}
  // After everything else: all blocks that are live at the end, in the order of their allocation numbers, in parts.
  virtual void OnLiveBlocks(absl::Span<const LiveBlock>) {}
};

// Something that is missing from a file or was skipped.
struct Damage {
  std::uint64_t byte = 0;         // where it begins in the file
  std::uint64_t chunk = 0;        // sequence number of the chunk
  std::uint64_t events_lost = 0;  // as the numbers of the next events tell; 0 where no events follow
  std::string what;               // "checksum differs", "the file ends inside it", ...
};

struct ReadOptions {
  // false: chunks of events are not decoded at all, neither are frames and kinds: a quick look at everything else.
  bool events = true;
  // Called with the bytes read so far and the bytes of the file, about once per chunk.
  std::function<void(std::uint64_t, std::uint64_t)> progress;
};

struct ReadSummary {
  std::uint64_t bytes = 0;           // of the file when reading began
  std::uint64_t chunks = 0;          // read well
  std::uint64_t events = 0;          // delivered
  std::uint64_t unknown_chunks = 0;  // of kinds that this version does not know, skipped
  bool being_written = false;        // a recorder is still at work on it
  bool complete = false;             // a footer was read: the trace was finished
  std::vector<Damage> damage;        // the first kMaxDamageEntries
  std::uint64_t damaged = 0;         // all of them
  std::uint64_t events_lost = 0;
};
inline constexpr std::size_t kMaxDamageEntries = 1000;

// Reads the whole file. A file that is still being written is read as far as it goes; the last, unfinished chunk is not
// damage then. Errors (one line that names the file and says what to do): it cannot be opened, it is no trace, it was
// written by a newer version.
[[nodiscard]] absl::StatusOr<ReadSummary> ReadTrace(const std::string& path, TraceVisitor& visitor,
                                                    const ReadOptions& options = {});

// The same for a trace in memory; `name` stands for the path in messages.
[[nodiscard]] absl::StatusOr<ReadSummary> ReadTraceBytes(absl::Span<const std::uint8_t> bytes, const std::string& name,
                                                         TraceVisitor& visitor, const ReadOptions& options = {});

// One line per entry: "trace.ltrace: chunk 41 at byte 1,203,412: checksum differs; 2,311 events lost, the rest was
// read".
[[nodiscard]] std::string DescribeDamage(const std::string& path, const Damage& damage);

// One event of a batch with everything that belongs to it at hand. `side` is null for operations without a side record.
struct Event {
  std::uint64_t number = 0;
  trace::Operation operation{};
  std::uint64_t time = 0;
  std::uint32_t thread = 0;
  std::uint64_t allocation = 0;  // kAllocate, kReallocate: number, kind and size of the new block
  std::uint32_t kind = 0;
  std::uint64_t size = 0;
  std::uint64_t released = 0;  // kFree, kReallocate, kOverlap: of the block that ended
  std::uint32_t released_kind = 0;
  std::uint64_t released_size = 0;
  const SideRecord* side = nullptr;
};

// Calls `function(const Event&)` for each event of the batch, in order. For those who want events one by one; the
// columns are quicker.
template <typename Function>
void ForEachEvent(const EventBatch& batch, Function&& function) {
  std::size_t acquired = 0, released = 0, side = 0, time_run = 0, thread_run = 0;
  std::uint32_t time_left = batch.time_runs.empty() ? 0 : batch.time_runs[0].events;
  std::uint32_t thread_left = batch.thread_runs.empty() ? 0 : batch.thread_runs[0].events;
  for (std::size_t i = 0; i < batch.operations.size(); ++i) {
    while (time_left == 0) time_left = batch.time_runs[++time_run].events;
    while (thread_left == 0) thread_left = batch.thread_runs[++thread_run].events;
    --time_left;
    --thread_left;
    Event event;
    event.number = batch.first_event + i;
    event.operation = batch.operations[i];
    event.time = batch.time_runs[time_run].time;
    event.thread = batch.thread_runs[thread_run].thread;
    if (trace::Acquires(event.operation)) {
      event.allocation = batch.first_allocation + acquired;
      event.kind = batch.kinds[acquired];
      event.size = batch.sizes[acquired];
      ++acquired;
    }
    if (trace::Releases(event.operation)) {
      event.released = batch.released[released];
      event.released_kind = batch.released_kinds[released];
      event.released_size = batch.released_sizes[released];
      ++released;
    }
    if (trace::HasSideRecord(event.operation)) event.side = &batch.side_records[side++];
    function(static_cast<const Event&>(event));
  }
}

}  // namespace leaktrace::read
