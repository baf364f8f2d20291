#include "analyzer/read/event_decoder.h"

#include <algorithm>

namespace leaktrace::read {

using trace::Operation;

void EventDecoder::AddKinds(const trace::KindColumns& kinds) {
  for (std::size_t i = 0; i < kinds.sizes.size(); ++i) {
    const bool varies = (kinds.attributes[i].flags & trace::KindAttributes::kSizeVaries) != 0;
    kind_sizes_.push_back(varies ? kVaries : std::min(kinds.sizes[i], kLost - 1));
  }
}

void EventDecoder::AddLostKinds(std::uint32_t count) { kind_sizes_.resize(kind_sizes_.size() + count, kLost); }

bool EventDecoder::ResolveSizes() {
  sizes_.resize(columns_.kinds.size());
  std::size_t used = 0;
  bool lost = false;
  for (std::size_t i = 0; i < columns_.kinds.size(); ++i) {
    std::uint32_t& kind = columns_.kinds[i];
    std::uint64_t size = kind < kind_sizes_.size() ? kind_sizes_[kind] : kLost;
    if (size >= kLost) [[unlikely]] {
      if (size == kVaries) {
        if (used == columns_.sizes.size()) return false;
        size = columns_.sizes[used++];
      } else {
        kind = kLostKind;
        size = 0;
        lost = true;
      }
    }
    sizes_[i] = size;
  }
  if (used == columns_.sizes.size()) return true;
  if (!lost) return false;
  // Which of the sizes belong to the lost kinds cannot be told: better none than a wrong one.
  for (std::size_t i = 0; i < columns_.kinds.size(); ++i) {
    if (kind_sizes_[columns_.kinds[i]] != kVaries) continue;
    columns_.kinds[i] = kLostKind;
    sizes_[i] = 0;
  }
  return true;
}

bool EventDecoder::Decode(format::trace::EventBlock::Reader block, trace::ColumnDecompressor& decompressor,
                          EventBatch& batch) {
  if (!trace::DecodeEventBlock(block, decompressor, columns_) || block.getFirstAllocation() < next_allocation_ ||
      !ResolveSizes()) {
    return false;
  }
  for (SideRecord& record : columns_.side_records) {
    if (record.kind >= kind_sizes_.size() || kind_sizes_[record.kind] == kLost) record.kind = kLostKind;
  }
  const std::size_t releases = columns_.distances.size();
  released_.resize(releases);
  released_kinds_.resize(releases);
  released_sizes_.resize(releases);
  std::uint64_t next = block.getFirstAllocation();
  std::size_t acquired = 0, released = 0;
  for (const Operation operation : columns_.operations) {
    if (trace::Releases(operation)) {
      const std::uint64_t distance = columns_.distances[released];
      const std::uint64_t number = next - distance;
      if (distance == 0 || distance > next) return false;
      const EndedBlock ended = live_.Remove(number);
      released_[released] = number;
      released_kinds_[released] = ended.kind;
      released_sizes_[released] = ended.size;
      ++released;
    }
    if (trace::Acquires(operation)) {
      if (columns_.kinds[acquired] != kLostKind) live_.Add(next, columns_.kinds[acquired], sizes_[acquired]);
      ++acquired;
      ++next;
    }
  }
  next_allocation_ = next;
  batch.first_event = block.getFirstEvent();
  batch.first_allocation = block.getFirstAllocation();
  batch.start_time = block.getStartTime();
  batch.end_time = block.getEndTime();
  batch.operations = columns_.operations;
  batch.kinds = columns_.kinds;
  batch.sizes = sizes_;
  batch.released = released_;
  batch.released_kinds = released_kinds_;
  batch.released_sizes = released_sizes_;
  batch.time_runs = columns_.time_runs;
  batch.thread_runs = columns_.thread_runs;
  batch.side_records = columns_.side_records;
  return true;
}

}  // namespace leaktrace::read
