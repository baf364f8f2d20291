#include "analyzer/record/ring_set.h"

#include <algorithm>
#include <cstring>

namespace leaktrace::record {

using format::Op;
using format::SlotState;

RingSet::RingSet(const Session& session) : session_(session), mask_(session.ring_words() - 1) {}

void RingSet::GiveUp(Ring& ring) {
  ring.damaged = true;
  ring.tail = ring.head;
  ++damaged_;
}

void RingSet::BeginPass(std::uint64_t watermark) {
  watermark_ = watermark;
  busy_ = false;
  const std::uint32_t count =
      std::min(session_.header().slot_count.load(std::memory_order_acquire), session_.ring_count());
  for (auto index = static_cast<std::uint32_t>(rings_.size()); index < count; ++index) {
    format::ThreadSlot& slot = session_.slot(index);
    rings_.push_back({&slot, session_.ring(index)});
    rings_.back().tail = slot.tail.load(std::memory_order_relaxed);
  }
  heap_.clear();
  for (std::uint32_t index = 0; index < rings_.size(); ++index) {
    Ring& ring = rings_[index];
    // Matched by the thread's release store: the words below head are written.
    ring.head = ring.slot->head.load(std::memory_order_acquire);
    if (ring.head == ring.tail) continue;
    if (ring.head - ring.tail > mask_ + 1 && !ring.damaged) GiveUp(ring);
    if (ring.damaged) {
      ring.tail = ring.head;
      continue;
    }
    if (ring.head - ring.tail > mask_ / 4) busy_ = true;
    std::uint64_t stamp;
    if (PeekStamp(ring, stamp)) heap_.push_back({stamp, index});
  }
  std::make_heap(heap_.begin(), heap_.end());
}

std::uint32_t RingSet::RecordWords(const Ring& ring, std::uint64_t word0) const {
  const auto op = static_cast<Op>(word0 & 0xff);
  std::uint64_t words = format::FixedWords(op);
  if (words == 0) {
    if (!format::IsVariable(op)) return 0;
    const std::uint64_t bytes = ring.words[(ring.tail + 1) & mask_];
    if (bytes > format::kMaxVariableBytes) return 0;
    words = 2 + (bytes + 7) / 8;
  }
  return words <= ring.head - ring.tail ? static_cast<std::uint32_t>(words) : 0;
}

bool RingSet::PeekStamp(Ring& ring, std::uint64_t& stamp) {
  if (ring.tail == ring.head) return false;
  stamp = ring.words[ring.tail & mask_] >> 8;
  return stamp < watermark_;
}

std::size_t RingSet::Stage(absl::Span<StagedRecord> records) {
  std::size_t count = 0;
  while (!heap_.empty() && count < records.size()) {
    std::pop_heap(heap_.begin(), heap_.end());
    Next next = heap_.back();
    heap_.pop_back();
    Ring& ring = rings_[next.ring];
    // As long as no other ring has an earlier record.
    const std::uint64_t limit = heap_.empty() ? watermark_ : heap_.front().stamp;
    bool more = true;
    do {
      const std::uint64_t word0 = ring.words[ring.tail & mask_];
      const std::uint32_t words = RecordWords(ring, word0);
      if (words == 0) [[unlikely]] {
        GiveUp(ring);
        more = false;
        break;
      }
      records[count++] = {
          word0, ring.words[(ring.tail + 1) & mask_], ring.words[(ring.tail + 2) & mask_], ring.tail, next.ring, words};
      ring.tail += words;
      more = PeekStamp(ring, next.stamp);
    } while (more && next.stamp <= limit && count < records.size());
    if (more) {
      heap_.push_back(next);
      std::push_heap(heap_.begin(), heap_.end());
    }
  }
  return count;
}

void RingSet::Release() {
  for (Ring& ring : rings_) {
    if (ring.slot->tail.load(std::memory_order_relaxed) != ring.tail) {
      // Matched by the thread's acquire load: it may write over the words below tail now.
      ring.slot->tail.store(ring.tail, std::memory_order_release);
    }
    if (ring.slot->state.load(std::memory_order_acquire) != SlotState::kEnding) continue;
    // After kEnding nothing is published any more.
    if (ring.slot->head.load(std::memory_order_acquire) != ring.tail) continue;
    SlotState ending = SlotState::kEnding;
    ring.slot->state.compare_exchange_strong(ending, SlotState::kFree, std::memory_order_acq_rel);
  }
}

void RingSet::CopyVariable(const StagedRecord& record, std::vector<std::uint8_t>& bytes) const {
  // Not what is in the ring now: the length was checked when the record was staged.
  bytes.resize(std::min<std::uint64_t>(record.word1, (record.words - 2) * std::uint64_t{8}));
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    const std::uint64_t word = Word(record, 2 + static_cast<std::uint32_t>(at / 8));
    std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(8, bytes.size() - at));
  }
}

}  // namespace leaktrace::record
