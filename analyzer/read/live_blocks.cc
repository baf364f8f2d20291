#include "analyzer/read/live_blocks.h"

#include <algorithm>

namespace leaktrace::read {

void LiveBlocks::BeginPage(std::uint64_t number) {
  Page* const previous = newest_;
  if (segments_.empty() || number - newest_page_ > kMaxGap) segments_.push_back({number, {}});
  Segment& segment = segments_.back();
  segment.pages.resize(number - segment.first_page + 1);
  newest_ = &segment.pages.back();
  newest_page_ = number;
  newest_->dense = spare_ != nullptr ? std::move(spare_) : std::make_unique<Entry[]>(kPageMask + 1);
  if (previous != nullptr && previous->live <= kSparseLimit) Shrink(*previous);
  DropEmptyPages();
}

LiveBlocks::Page* LiveBlocks::Find(std::uint64_t page_number) {
  auto segment = std::upper_bound(segments_.begin(), segments_.end(), page_number,
                                  [](std::uint64_t value, const Segment& other) { return value < other.first_page; });
  if (segment == segments_.begin()) return nullptr;
  --segment;
  const std::uint64_t index = page_number - segment->first_page;
  return index < segment->pages.size() ? &segment->pages[index] : nullptr;
}

void LiveBlocks::Shrink(Page& page) {
  page.sparse.reserve(page.live);
  for (std::uint32_t i = 0; page.sparse.size() < page.live; ++i) {
    if (page.dense[i].kind == 0) continue;
    page.sparse.push_back({i, page.dense[i]});
    page.dense[i] = {};
  }
  // All entries are clear now.
  if (spare_ == nullptr) {
    spare_ = std::move(page.dense);
  } else {
    page.dense.reset();
  }
}

EndedBlock LiveBlocks::RemoveSparse(Page& page, std::uint64_t number) {
  const std::uint64_t low = number & kPageMask;
  const auto found =
      std::lower_bound(page.sparse.begin(), page.sparse.end(), low,
                       [](const SparseEntry& entry, std::uint64_t value) { return entry.number < value; });
  if (found == page.sparse.end() || found->number != low || found->entry.kind == 0) return {};
  const EndedBlock block{found->entry.kind, found->entry.size == kHugeSize ? TakeHuge(number) : found->entry.size};
  found->entry = {};
  --live_;
  if (--page.live < page.sparse.size() / 2) {
    std::erase_if(page.sparse, [](const SparseEntry& entry) { return entry.entry.kind == 0; });
    page.sparse.shrink_to_fit();
  }
  return block;
}

// From the oldest on; the newest page stays, empty or not.
void LiveBlocks::DropEmptyPages() {
  while (true) {
    Segment& oldest = segments_.front();
    while (!oldest.pages.empty() && oldest.pages.front().live == 0 && &oldest.pages.front() != newest_) {
      oldest.pages.pop_front();
      ++oldest.first_page;
    }
    if (!oldest.pages.empty()) return;
    segments_.pop_front();
  }
}

void LiveBlocks::SetHuge(std::uint64_t number, std::uint64_t size, Entry& entry) {
  entry.size = kHugeSize;
  huge_.push_back({number, size});
}

std::uint64_t LiveBlocks::SizeOf(std::uint64_t number, const Entry& entry) const {
  if (entry.size != kHugeSize) return entry.size;
  const auto found = std::lower_bound(huge_.begin(), huge_.end(), number,
                                      [](const Huge& huge, std::uint64_t value) { return huge.number < value; });
  return found != huge_.end() && found->number == number ? found->size : kHugeSize;
}

std::uint64_t LiveBlocks::TakeHuge(std::uint64_t number) {
  const auto found = std::lower_bound(huge_.begin(), huge_.end(), number,
                                      [](const Huge& huge, std::uint64_t value) { return huge.number < value; });
  if (found == huge_.end() || found->number != number) return kHugeSize;
  const std::uint64_t size = found->size;
  huge_.erase(found);
  return size;
}

}  // namespace leaktrace::read
