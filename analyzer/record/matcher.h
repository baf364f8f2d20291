// Turns the records of all threads, in the order of their stamps, into the events of a trace: finds what a free frees,
// what a mapping replaces, and which frames, kinds and threads records of different rings have in common.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "analyzer/js/code_map.h"
#include "analyzer/record/block_table.h"
#include "analyzer/record/clock.h"
#include "analyzer/record/kind_interner.h"
#include "analyzer/record/mapping_table.h"
#include "analyzer/record/overlap_watch.h"
#include "analyzer/record/ring_set.h"
#include "analyzer/record/stack_interner.h"
#include "analyzer/record/trace_encoder.h"
#include "format/ring.h"

namespace leaktrace::record {

struct AllocatorCounts {
  std::uint64_t allocations = 0;  // what realloc returned is one, what it took is a free
  std::uint64_t frees = 0;
  std::uint64_t unknown_frees = 0;
  std::uint64_t overlaps = 0;
};

struct MatchTotals {
  std::uint64_t live_bytes = 0;
  std::uint64_t peak_bytes = 0;
  std::uint64_t peak_stamp = 0;
  std::array<AllocatorCounts, format::kMaxAllocators> allocators{};
  std::uint64_t inherited_frees = 0;  // by a forked child, of blocks that it never allocated: its parent had
  std::uint64_t ignored_records = 0;  // that make no sense where they are
};

// One thread.
class Matcher {
 public:
  Matcher(const RingSet& rings, const Session& session, const Clock& clock, TraceEncoder& encoder);

  // Handles the records that are about memory, stacks, threads and JavaScript code, in order. Any other is given to
  // `other(const StagedRecord&)`, at its place among them.
  template <typename Other>
  void Apply(absl::Span<const StagedRecord> records, Other&& other) {
    for (const StagedRecord& record : records) Prefetch(record);
    for (const StagedRecord& record : records) {
      BeginRecord(record);
      if (!ApplyOne(record)) other(record);
    }
    EndRecords();
  }

  // After the last record: what still waits for a release that will not come.
  void Finish();

  [[nodiscard]] const MatchTotals& totals() const { return totals_; }
  [[nodiscard]] std::uint64_t live_blocks() const { return blocks_.size(); }
  [[nodiscard]] std::uint64_t mapped_bytes() const { return mappings_.anonymous_bytes(); }
  [[nodiscard]] const js::CodeMap& code() const { return code_; }
  [[nodiscard]] std::uint32_t threads() const { return next_thread_; }
  // Index of the thread whose records this ring holds.
  [[nodiscard]] std::uint32_t ThreadOf(std::uint32_t ring) const { return tracks_[ring].thread; }

 private:
  // A node of a ring's own stack tree: the frame that it is in the trace, and the kind that was last allocated with it.
  struct Node {
    std::uint32_t frame = 0;
    std::uint32_t kind = 0;  // kSizeVariesBit set: stands for any size
    KindKey key;
  };
  static constexpr std::uint32_t kSizeVariesBit = 1u << 31;

  // What is under way on a ring.
  struct Track {
    bool started = false;
    std::uint32_t thread = 0;
    ThreadEntry entry;
    std::vector<Node> nodes = {{}};  // by the ring's node number
    std::uint32_t route = 0;
    std::uint32_t scheduled_by = 0;                            // frame under which this thread's stacks go, 0 = none
    absl::flat_hash_map<std::uint64_t, std::uint32_t> grafts;  // (base:32 | frame:32) -> frame
    std::uint64_t last_block = 0;                              // address of the last allocation
    bool reallocating = false, realloc_known = false;
    std::uint64_t realloc_word = 0;
    Block realloc_block;
    // What the last munmap took. It becomes an event when the thread goes on without saying that the call failed.
    bool unmapping = false;
    std::uint64_t unmap_address = 0, unmap_length = 0;
    std::vector<Mapping> unmapped;
    std::vector<Mapping> remapped;  // what an mremap moves
    std::uint64_t remap_address = 0, remap_length = 0;
  };

  void Prefetch(const StagedRecord& record) const {
    if (record.op() == format::Op::kAlloc || record.op() == format::Op::kFree) {
      blocks_.Prefetch(format::BlockWord::Address(record.word1));
    }
  }
  void BeginRecord(const StagedRecord& record) {
    if (record.stamp() >= next_time_stamp_) [[unlikely]]
      BeginTime(record.stamp());
    if (record.ring >= tracks_.size() || !tracks_[record.ring].started) [[unlikely]]
      BeginThread(record);
    Track& track = tracks_[record.ring];
    events_.SetThread(track.thread);
    if (track.unmapping && record.op() != format::Op::kUnmapCancel) [[unlikely]]
      EndUnmap(track);
  }
  void BeginTime(std::uint64_t stamp);
  void BeginThread(const StagedRecord& record);
  bool ApplyOne(const StagedRecord& record);
  void EndRecords();
  void ExpireOverlaps(std::uint64_t stamp);

  void AddFrame(const StagedRecord& record);
  std::uint32_t FrameOf(Track& track, std::uint32_t node);
  InternedKind KindOf(Track& track, std::uint32_t node, KindKey key);
  void Allocate(const StagedRecord& record);
  void Free(const StagedRecord& record);
  void BeginRealloc(const StagedRecord& record);
  void EndRealloc(const StagedRecord& record);
  void CancelRealloc(const StagedRecord& record);
  void AddLive(const StagedRecord& record, std::uint64_t allocation);
  bool TakeBlock(const StagedRecord& record, Block& block);
  void CountUnknownFree(std::uint64_t word);
  void AddToHeap(const StagedRecord& record);
  void DestroyHeap(const StagedRecord& record);

  void Map(const StagedRecord& record);
  void Unmap(const StagedRecord& record);
  void EndUnmap(Track& track);
  void CancelUnmap(const StagedRecord& record);
  void BeginRemap(const StagedRecord& record);
  void EndRemap(const StagedRecord& record);
  void CancelRemap(const StagedRecord& record);
  void Advise(const StagedRecord& record);
  void AddMapping(trace::SideRecord side, absl::Span<const Mapping> replaced);
  absl::Span<const trace::MappingPart> PartsOf(absl::Span<const Mapping> pieces);

  void StartThread(const StagedRecord& record);
  void EndThread(const StagedRecord& record);
  void SetRoute(const StagedRecord& record);
  void Schedule(const StagedRecord& record);
  void BeginScheduled(const StagedRecord& record);
  void ApplyCode(const StagedRecord& record);
  std::string_view Variable(const StagedRecord& record);

  const RingSet& rings_;
  const Session& session_;
  const Clock& clock_;
  TraceEncoder& encoder_;
  trace::EventBlockBuilder& events_;
  StackInterner stacks_;
  KindInterner kinds_;
  BlockTable blocks_;
  MappingTable mappings_;
  OverlapWatch overlaps_;
  js::CodeMap code_;
  std::vector<Track> tracks_;
  std::uint32_t next_thread_ = 0;
  std::uint64_t next_time_stamp_ = 0;
  std::uint64_t last_stamp_ = 0;
  absl::flat_hash_map<std::string, std::uint32_t> routes_;
  absl::flat_hash_map<std::uint64_t, std::uint32_t> scheduled_;  // work's address -> frame of the stack that queued it
  absl::flat_hash_map<std::uint64_t, std::uint64_t> heap_of_;    // block's address -> its heap
  absl::flat_hash_map<std::uint64_t, absl::flat_hash_set<std::uint64_t>> heaps_;
  MatchTotals totals_;
  std::vector<trace::MappingPart> parts_;
  std::vector<Mapping> pieces_;
  std::vector<std::uint8_t> variable_;
};

}  // namespace leaktrace::record
