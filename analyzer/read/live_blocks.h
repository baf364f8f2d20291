// Which allocations are live while a trace is read: from an allocation's number to its kind and size.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace leaktrace::read {

struct EndedBlock {
  std::uint32_t kind = 0;  // 0: it was not live, or is lost
  std::uint64_t size = 0;
};

// Allocations are numbered in the order of the file, and most die young: they are kept in pages of consecutive numbers.
// A page that is sparse becomes a short sorted list, an empty one goes away; so memory follows the number of live
// blocks, not the trace's length.
class LiveBlocks {
 public:
  // Numbers must grow from call to call. Numbers that are left out count as lost. `kind` is not 0. Beyond kMaxLive live
  // blocks further ones count as lost too: that many are in no real trace, but a few bytes of a hostile one can claim
  // them.
  void Add(std::uint64_t number, std::uint32_t kind, std::uint64_t size) {
    const std::uint64_t page = number >> kPageBits;
    if (page != newest_page_ || newest_ == nullptr) [[unlikely]]
      BeginPage(page);
    if (live_ == kMaxLive) [[unlikely]]
      return;
    Entry& entry = newest_->dense[number & kPageMask];
    entry = {kind, static_cast<std::uint32_t>(size)};
    if (size >= kHugeSize) [[unlikely]]
      SetHuge(number, size, entry);
    ++newest_->live;
    ++live_;
  }

  // Ends the block and returns what it was; kind 0 when it is not live.
  EndedBlock Remove(std::uint64_t number) {
    const std::uint64_t page_number = number >> kPageBits;
    Page* page = page_number == newest_page_ ? newest_ : Find(page_number);
    if (page == nullptr) [[unlikely]]
      return {};
    if (page->dense == nullptr) return RemoveSparse(*page, number);
    Entry& entry = page->dense[number & kPageMask];
    if (entry.kind == 0) [[unlikely]]
      return {};
    const EndedBlock block{entry.kind, entry.size == kHugeSize ? TakeHuge(number) : entry.size};
    entry = {};
    --live_;
    if (--page->live <= kSparseLimit && page != newest_) Shrink(*page);
    return block;
  }

  [[nodiscard]] std::uint64_t live() const { return live_; }

  // Calls function(number, kind, size) for each live block, in the order of their numbers.
  template <typename Function>
  void ForEach(Function&& function) const;

 private:
  static constexpr unsigned kPageBits = 14;
  static constexpr std::uint64_t kPageMask = (1u << kPageBits) - 1;
  static constexpr std::uint32_t kSparseLimit = (1u << kPageBits) / 8;
  static constexpr std::uint32_t kHugeSize = ~0u;  // stands for a size that is in huge_
  static constexpr std::uint64_t kMaxLive = std::uint64_t{1} << 28;
  static constexpr std::uint64_t kMaxGap = 16;

  struct Entry {
    std::uint32_t kind = 0;
    std::uint32_t size = 0;
  };
  struct SparseEntry {
    std::uint32_t number = 0;  // within the page
    Entry entry;
  };
  struct Page {
    std::unique_ptr<Entry[]> dense;
    std::vector<SparseEntry> sparse;  // sorted by number; used when dense is null
    std::uint32_t live = 0;
  };
  // Pages of consecutive numbers. Only lost chunks begin another segment.
  struct Segment {
    std::uint64_t first_page = 0;
    std::deque<Page> pages;
  };
  struct Huge {
    std::uint64_t number;
    std::uint64_t size;
  };

  void BeginPage(std::uint64_t number);
  Page* Find(std::uint64_t page_number);
  void Shrink(Page& page);
  EndedBlock RemoveSparse(Page& page, std::uint64_t number);
  void DropEmptyPages();
  void SetHuge(std::uint64_t number, std::uint64_t size, Entry& entry);
  std::uint64_t TakeHuge(std::uint64_t number);
  [[nodiscard]] std::uint64_t SizeOf(std::uint64_t number, const Entry& entry) const;

  std::deque<Segment> segments_;  // sorted by first_page
  Page* newest_ = nullptr;        // the last page of the last segment
  std::uint64_t newest_page_ = 0;
  std::uint64_t live_ = 0;
  std::vector<Huge> huge_;  // sorted by number
  std::unique_ptr<Entry[]> spare_;
};

template <typename Function>
void LiveBlocks::ForEach(Function&& function) const {
  for (const Segment& segment : segments_) {
    std::uint64_t first = segment.first_page << kPageBits;
    for (const Page& page : segment.pages) {
      const auto visit = [&](std::uint64_t low, const Entry& entry) {
        if (entry.kind != 0) function(first + low, entry.kind, SizeOf(first + low, entry));
      };
      if (page.dense != nullptr) {
        for (std::uint64_t i = 0; i <= kPageMask; ++i) visit(i, page.dense[i]);
      } else {
        for (const SparseEntry& entry : page.sparse) visit(entry.number, entry.entry);
      }
      first += kPageMask + 1;
    }
  }
}

}  // namespace leaktrace::read
