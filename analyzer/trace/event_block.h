// The columns of events. The builder collects events in time order and numbers them; DecodeEventBlock gives the columns
// back.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/trace/byte_stream.h"
#include "analyzer/trace/column.h"
#include "analyzer/trace/operation.h"
#include "analyzer/trace/side_record.h"
#include "format/trace.capnp.h"

namespace leaktrace::trace {

// Most events that one chunk may hold: bounds what a reader allocates for it.
inline constexpr std::uint32_t kMaxBlockEvents = 1 << 18;

struct TimeRun {
  std::uint32_t events = 0;  // as many events happened at `time`
  std::uint64_t time = 0;    // ns since the start
};
struct ThreadRun {
  std::uint32_t events = 0;
  std::uint32_t thread = 0;  // MarkList.Thread.index
};

// Numbers of events, allocations and mappings go on from block to block. At most kMaxBlockEvents between two calls of
// Write.
class EventBlockBuilder {
 public:
  // The events that follow happened at this time, until the next call: ns since the start, never smaller than before,
  // cut down to kTimeResolution.
  void SetTime(std::uint64_t time) {
    if (time >= run_time_ + kTimeResolution) NextTimeRun(time);
  }
  // The events that follow happened on this thread, until the next call.
  void SetThread(std::uint32_t thread) {
    if (thread != thread_) NextThreadRun(thread);
  }

  // Returns the allocation's number. The kind has a fixed size.
  std::uint64_t Allocate(std::uint32_t kind) {
    Event(Operation::kAllocate);
    kinds_.Varint(kind);
    return next_allocation_++;
  }
  // The kind has the flag kSizeVaries.
  std::uint64_t Allocate(std::uint32_t kind, std::uint64_t size) {
    sizes_.Varint(size);
    return Allocate(kind);
  }
  void Free(std::uint64_t allocation) {
    Event(Operation::kFree);
    distances_.Varint(next_allocation_ - allocation);
  }
  std::uint64_t Reallocate(std::uint64_t allocation, std::uint32_t kind) {
    Event(Operation::kReallocate);
    distances_.Varint(next_allocation_ - allocation);
    kinds_.Varint(kind);
    return next_allocation_++;
  }
  std::uint64_t Reallocate(std::uint64_t allocation, std::uint32_t kind, std::uint64_t size) {
    sizes_.Varint(size);
    return Reallocate(allocation, kind);
  }
  void Overlap(std::uint64_t allocation) {
    Event(Operation::kOverlap);
    distances_.Varint(next_allocation_ - allocation);
  }
  // Any operation with a side record. For kMap and kRemap next_mapping() was the number of the mapping that begins.
  void Side(const SideRecord& record) {
    Event(record.operation);
    EncodeSideRecord(record, next_mapping_, side_records_);
  }

  [[nodiscard]] std::uint32_t pending() const { return static_cast<std::uint32_t>(operations_.size()); }
  [[nodiscard]] std::uint64_t next_event() const { return first_event_ + operations_.size(); }
  [[nodiscard]] std::uint64_t next_allocation() const { return next_allocation_; }
  [[nodiscard]] std::uint64_t next_mapping() const { return next_mapping_; }
  // Bytes before compression.
  [[nodiscard]] std::size_t pending_bytes() const {
    return operations_.size() + kinds_.size() + sizes_.size() + distances_.size() + side_records_.size();
  }

  // Moves what was added since the last call into the block.
  void Write(format::trace::EventBlock::Builder block, ColumnCompressor& compressor);

 private:
  void Event(Operation operation) { operations_.Byte(static_cast<std::uint8_t>(operation)); }
  void NextTimeRun(std::uint64_t time);
  void NextThreadRun(std::uint32_t thread);

  std::uint64_t first_event_ = 0, first_allocation_ = 0, first_mapping_ = 0;
  std::uint64_t next_allocation_ = 0, next_mapping_ = 0;
  std::uint64_t start_time_ = 0, run_time_ = 0;
  std::size_t run_begin_ = 0, thread_begin_ = 0;  // pending() when the current run began
  std::uint32_t thread_ = 0;
  ByteWriter operations_, kinds_, sizes_, distances_, time_runs_, thread_runs_, side_records_;
};

// What a block holds, before kinds and distances are resolved.
struct EventColumns {
  std::vector<Operation> operations;
  std::vector<std::uint32_t> kinds;      // one for each operation that acquires
  std::vector<std::uint64_t> sizes;      // one for each kind whose size varies: as many as there are in the column
  std::vector<std::uint64_t> distances;  // one for each operation that releases
  std::vector<TimeRun> time_runs;        // as many events as there are operations
  std::vector<ThreadRun> thread_runs;    // likewise
  std::vector<SideRecord> side_records;  // one for each operation that has one, its parts set
  std::vector<MappingPart> parts;

  std::vector<std::uint8_t> scratch;
};

// False when the block is damaged: a column cannot be read, or has another number of elements than the operations ask
// for.
[[nodiscard]] bool DecodeEventBlock(format::trace::EventBlock::Reader block, ColumnDecompressor& decompressor,
                                    EventColumns& columns);

}  // namespace leaktrace::trace
