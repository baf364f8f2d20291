#include "analyzer/record/matcher.h"

#include <algorithm>
#include <utility>

namespace leaktrace::record {

using format::BlockWord;
using format::FrameKind;
using format::FrameWord;
using format::Op;
using format::SizeWord;
using trace::Operation;

namespace {

// How much later than the acquisition of a block's address the release before it may be stamped (overlap_watch.h).
constexpr std::uint64_t kReorderNs = 10'000;
// Runs of events share a time; this long, so that runs cost next to nothing.
constexpr std::uint64_t kTimeRunNs = 100'000;

}  // namespace

Matcher::Matcher(const RingSet& rings, const Session& session, const Clock& clock, TraceEncoder& encoder)
    : rings_(rings),
      session_(session),
      clock_(clock),
      encoder_(encoder),
      events_(encoder.events()),
      stacks_(encoder.frames()),
      kinds_(encoder.kinds()) {}

void Matcher::BeginTime(std::uint64_t stamp) {
  events_.SetTime(clock_.Nanoseconds(stamp));
  next_time_stamp_ = stamp + clock_.Ticks(kTimeRunNs);
  last_stamp_ = stamp;
  if (!overlaps_.empty()) {
    ExpireOverlaps(stamp);
  }
}

void Matcher::BeginThread(const StagedRecord& record) {
  if (record.ring >= tracks_.size()) tracks_.resize(record.ring + 1);
  Track& track = tracks_[record.ring];
  track = Track{};
  track.started = true;
  track.thread = next_thread_++;
  track.entry.index = track.thread;
  track.entry.tid = session_.slot(record.ring).tid;
  track.entry.start_time = clock_.Nanoseconds(record.stamp());
  // A thread that says its name at once is announced with it.
  if (record.op() != Op::kThreadStart) encoder_.AddThread(track.entry);
}

void Matcher::StartThread(const StagedRecord& record) {
  // The slot may have had another thread, whose end was not seen.
  if (tracks_[record.ring].entry.end_time != 0 || !tracks_[record.ring].entry.name.empty()) {
    tracks_[record.ring].started = false;
    BeginThread(record);
    events_.SetThread(tracks_[record.ring].thread);
  }
  Track& track = tracks_[record.ring];
  track.nodes.assign(1, {});
  track.entry.name = Variable(record);
  encoder_.AddThread(track.entry);
}

void Matcher::EndThread(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  track.entry.end_time = std::max<std::uint64_t>(clock_.Nanoseconds(record.stamp()), 1);
  encoder_.AddThread(track.entry);
  track = Track{};
}

bool Matcher::ApplyOne(const StagedRecord& record) {
  switch (record.op()) {
    case Op::kFrame:
      AddFrame(record);
      return true;
    case Op::kAlloc:
      Allocate(record);
      return true;
    case Op::kFree:
      Free(record);
      return true;
    case Op::kReallocBegin:
      BeginRealloc(record);
      return true;
    case Op::kReallocEnd:
      EndRealloc(record);
      return true;
    case Op::kReallocCancel:
      CancelRealloc(record);
      return true;
    case Op::kMap:
      Map(record);
      return true;
    case Op::kUnmap:
      Unmap(record);
      return true;
    case Op::kUnmapCancel:
      CancelUnmap(record);
      return true;
    case Op::kRemapBegin:
      BeginRemap(record);
      return true;
    case Op::kRemapEnd:
      EndRemap(record);
      return true;
    case Op::kRemapCancel:
      CancelRemap(record);
      return true;
    case Op::kAdvise:
      Advise(record);
      return true;
    case Op::kHeapBlock:
      AddToHeap(record);
      return true;
    case Op::kHeapDestroy:
      DestroyHeap(record);
      return true;
    case Op::kThreadStart:
      StartThread(record);
      return true;
    case Op::kThreadEnd:
      EndThread(record);
      return true;
    case Op::kRoute:
      SetRoute(record);
      return true;
    case Op::kSchedule:
      Schedule(record);
      return true;
    case Op::kScheduled:
      BeginScheduled(record);
      return true;
    case Op::kSocket:
      events_.Side({.operation = Operation::kSocket,
                    .descriptor = static_cast<std::int32_t>(record.word1 >> 32),
                    .socket_event = static_cast<format::SocketEvent>(record.word1 & 0xff),
                    .bytes = record.word2});
      return true;
    case Op::kCodeAdd:
    case Op::kCodeMove:
    case Op::kCodeRemove:
    case Op::kCodeLines:
    case Op::kScript:
    case Op::kSource:
    case Op::kJsFunction:
      ApplyCode(record);
      return true;
    case Op::kNone:
    case Op::kModule:
    case Op::kModuleUnload:
    case Op::kMark:
    case Op::kJsHeap:
    case Op::kObjectCounts:
    case Op::kProcess:
      return false;
  }
  return false;
}

void Matcher::EndRecords() {
  if (!overlaps_.empty()) {
    ExpireOverlaps(last_stamp_);
  }
}

void Matcher::Finish() {
  for (Track& track : tracks_) {
    if (!track.unmapping) continue;
    events_.SetThread(track.thread);
    EndUnmap(track);
  }
  ExpireOverlaps(~std::uint64_t{0});
}

void Matcher::ExpireOverlaps(std::uint64_t stamp) {
  overlaps_.Expire(stamp, [this](const Block& block, unsigned allocator) {
    ++totals_.allocators[allocator].overlaps;
    events_.Overlap(block.allocation);
  });
}

std::string_view Matcher::Variable(const StagedRecord& record) {
  rings_.CopyVariable(record, variable_);
  return {reinterpret_cast<const char*>(variable_.data()), variable_.size()};
}

// ---- Stacks and kinds ----

void Matcher::AddFrame(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  if (record.word1 == ~std::uint64_t{0} && record.word2 == 0) {
    track.nodes.assign(1, {});
    return;
  }
  const auto parent = static_cast<std::uint32_t>(record.word1 >> 32);
  const auto auxiliary = static_cast<std::uint32_t>(record.word1);
  if (parent >= track.nodes.size() || track.nodes.size() > SizeWord::kMaxNode) {
    ++totals_.ignored_records;
    if (track.nodes.size() <= SizeWord::kMaxNode) track.nodes.push_back({});
    return;
  }
  const FrameKind kind = FrameWord::Kind(record.word2);
  js::CodeFrame name;
  if (kind == FrameKind::kInterpreted || kind == FrameKind::kJit || kind == FrameKind::kJsc) {
    name = code_.Resolve(kind, FrameWord::Value(record.word2));
  }
  std::uint64_t identity = 0;
  if (name.function != 0) identity = std::uint64_t{name.function} << 32 | static_cast<std::uint32_t>(name.position + 1);
  bool added = false;
  const std::uint32_t frame = stacks_.Intern(track.nodes[parent].frame, record.word2, auxiliary, identity, added);
  if (added && identity != 0) encoder_.code().Add(frame, name);
  Node node;
  node.frame = frame;
  track.nodes.push_back(node);
}

std::uint32_t Matcher::FrameOf(Track& track, std::uint32_t node) {
  if (node >= track.nodes.size()) {
    ++totals_.ignored_records;
    node = 0;
  }
  const std::uint32_t frame = track.nodes[node].frame;
  if (track.scheduled_by == 0) return frame;
  const auto [graft, inserted] = track.grafts.try_emplace(std::uint64_t{track.scheduled_by} << 32 | frame, 0);
  if (inserted) graft->second = stacks_.Graft(frame, track.scheduled_by);
  return graft->second;
}

InternedKind Matcher::KindOf(Track& track, std::uint32_t node, KindKey key) {
  if (node >= track.nodes.size() || track.scheduled_by != 0) [[unlikely]]
    return kinds_.Intern(FrameOf(track, node), key);
  Node& cache = track.nodes[node];
  const bool varies = (cache.kind & kSizeVariesBit) != 0;
  if (cache.kind != 0 && (cache.key == key || (varies && cache.key.attributes() == key.attributes()))) [[likely]]
    return {cache.kind & ~kSizeVariesBit, varies};
  const InternedKind kind = kinds_.Intern(cache.frame, key);
  cache.kind = kind.id | (kind.size_varies ? kSizeVariesBit : 0);
  cache.key = key;
  return kind;
}

void Matcher::SetRoute(const StagedRecord& record) {
  const std::string_view name = Variable(record);
  Track& track = tracks_[record.ring];
  if (name.empty()) {
    track.route = 0;
    return;
  }
  const auto known = routes_.find(std::string(name));
  if (known != routes_.end()) {
    track.route = known->second;
    return;
  }
  // Routes beyond what a kind can tell apart share the last number.
  const auto number = static_cast<std::uint32_t>(std::min<std::size_t>(routes_.size() + 1, KindKey::kMaxRoute));
  if (routes_.size() >= KindKey::kMaxRoute) {
    track.route = number;
    return;
  }
  encoder_.AddRoute(number == KindKey::kMaxRoute ? std::string("(other routes)") : std::string(name));
  routes_.emplace(name, number);
  track.route = number;
}

// ---- Work that is done for others ----

void Matcher::Schedule(const StagedRecord& record) {
  // Work that never begins would stay here for ever.
  constexpr std::size_t kMaxWaiting = 1 << 20;
  if (scheduled_.size() >= kMaxWaiting) scheduled_.clear();
  scheduled_[record.word1] = FrameOf(tracks_[record.ring], static_cast<std::uint32_t>(record.word2));
}

void Matcher::BeginScheduled(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  track.scheduled_by = 0;
  if (record.word1 == 0) return;
  const auto work = scheduled_.find(record.word1);
  if (work == scheduled_.end()) return;
  bool added = false;
  track.scheduled_by = stacks_.Intern(work->second, FrameWord::Pack(FrameKind::kScheduledBy, 0), 0, 0, added);
  scheduled_.erase(work);
}

// ---- Blocks ----

void Matcher::AddLive(const StagedRecord& record, std::uint64_t allocation) {
  const Block block{BlockWord::Address(record.word1), allocation, SizeWord::Size(record.word2)};
  Track& track = tracks_[record.ring];
  track.last_block = block.address;
  totals_.live_bytes += block.size;
  if (totals_.live_bytes > totals_.peak_bytes) {
    totals_.peak_bytes = totals_.live_bytes;
    totals_.peak_stamp = record.stamp();
  }
  ++totals_.allocators[BlockWord::Allocator(record.word1)].allocations;
  Block replaced;
  if (blocks_.Insert(block, replaced)) [[unlikely]] {
    totals_.live_bytes -= replaced.size;
    overlaps_.Add(replaced, record.ring, record.stamp() + clock_.Ticks(kReorderNs), BlockWord::Allocator(record.word1));
  }
}

void Matcher::Allocate(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  const KindKey key(SizeWord::Size(record.word2), BlockWord::Entry(record.word1), BlockWord::Allocator(record.word1),
                    BlockWord::Phase(record.word1), track.route);
  const InternedKind kind = KindOf(track, SizeWord::Node(record.word2), key);
  AddLive(record, kind.size_varies ? events_.Allocate(kind.id, key.size()) : events_.Allocate(kind.id));
}

bool Matcher::TakeBlock(const StagedRecord& record, Block& block) {
  const std::uint64_t address = BlockWord::Address(record.word1);
  if (!overlaps_.empty()) [[unlikely]] {
    if (overlaps_.Take(address, record.ring, record.stamp(), block)) {
      block.address = 0;
      return true;
    }
  }
  if (!blocks_.Remove(address, block)) return false;
  totals_.live_bytes -= block.size;
  if (!heap_of_.empty()) [[unlikely]] {
    if (const auto heap = heap_of_.find(address); heap != heap_of_.end()) {
      heaps_[heap->second].erase(address);
      heap_of_.erase(heap);
    }
  }
  return true;
}

void Matcher::CountUnknownFree(std::uint64_t word) {
  if (session_.facts().forked) {
    ++totals_.inherited_frees;
    return;
  }
  ++totals_.allocators[BlockWord::Allocator(word)].unknown_frees;
  events_.Side({.operation = Operation::kUnknownFree,
                .address = BlockWord::Address(word),
                .entry = static_cast<format::EntryPoint>(BlockWord::Entry(word)),
                .allocator = static_cast<std::uint8_t>(BlockWord::Allocator(word))});
}

void Matcher::Free(const StagedRecord& record) {
  Block block;
  if (!TakeBlock(record, block)) [[unlikely]] {
    CountUnknownFree(record.word1);
    return;
  }
  ++totals_.allocators[BlockWord::Allocator(record.word1)].frees;
  events_.Free(block.allocation);
}

void Matcher::BeginRealloc(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  if (track.reallocating) ++totals_.ignored_records;
  track.reallocating = true;
  track.realloc_word = record.word1;
  track.realloc_known = TakeBlock(record, track.realloc_block);
}

void Matcher::CancelRealloc(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  if (!track.reallocating) {
    ++totals_.ignored_records;
    return;
  }
  track.reallocating = false;
  if (!track.realloc_known || track.realloc_block.address == 0) return;
  Block replaced;
  if (blocks_.Insert(track.realloc_block, replaced)) totals_.live_bytes -= replaced.size;
  totals_.live_bytes += track.realloc_block.size;
}

void Matcher::EndRealloc(const StagedRecord& record) {
  Track& track = tracks_[record.ring];
  if (!track.reallocating) {
    ++totals_.ignored_records;
    return;
  }
  track.reallocating = false;
  if (track.realloc_known) {
    ++totals_.allocators[BlockWord::Allocator(track.realloc_word)].frees;
  } else if (BlockWord::Address(track.realloc_word) != 0) {
    CountUnknownFree(track.realloc_word);
  }
  const std::uint64_t old = track.realloc_block.allocation;
  if (BlockWord::Address(record.word1) == 0) {
    // realloc(p, 0) that freed.
    if (track.realloc_known) events_.Free(old);
    return;
  }
  if (!track.realloc_known) {
    Allocate(record);
    return;
  }
  const KindKey key(SizeWord::Size(record.word2), BlockWord::Entry(record.word1), BlockWord::Allocator(record.word1),
                    BlockWord::Phase(record.word1), track.route);
  const InternedKind kind = KindOf(track, SizeWord::Node(record.word2), key);
  AddLive(record, kind.size_varies ? events_.Reallocate(old, kind.id, key.size()) : events_.Reallocate(old, kind.id));
}

void Matcher::AddToHeap(const StagedRecord& record) {
  const std::uint64_t block = tracks_[record.ring].last_block;
  const std::uint64_t heap = BlockWord::Address(record.word1);
  if (block == 0) return;
  heaps_[heap].insert(block);
  heap_of_[block] = heap;
}

void Matcher::DestroyHeap(const StagedRecord& record) {
  const auto allocator = static_cast<std::uint8_t>(BlockWord::Allocator(record.word1));
  const std::uint64_t heap = BlockWord::Address(record.word1);
  events_.Side({.operation = Operation::kHeapDestroy, .address = heap, .allocator = allocator});
  const auto found = heaps_.find(heap);
  if (found == heaps_.end()) return;
  for (const std::uint64_t address : found->second) {
    heap_of_.erase(address);
    Block block;
    if (!blocks_.Remove(address, block)) continue;
    totals_.live_bytes -= block.size;
    ++totals_.allocators[allocator].frees;
    events_.Free(block.allocation);
  }
  heaps_.erase(found);
}

}  // namespace leaktrace::record
