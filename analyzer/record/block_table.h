// The blocks that are live in the target, by address.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace leaktrace::record {

struct Block {
  std::uint64_t address = 0;  // below 2^48, not 0
  std::uint64_t allocation =
      0;                   // number of its allocation, below 2^40 (a billion allocations per second for 18 minutes)
  std::uint64_t size = 0;  // requested bytes, below 2^40
};

// Open addressing with linear probing over entries of 16 bytes, at most 3/4 full: at most 43 bytes per block, 64 while
// it grows. No lookup allocates. One thread.
class BlockTable {
 public:
  BlockTable() : entries_(Allocate(kMinimum)), mask_(kMinimum - 1) {}
  ~BlockTable() { Release(entries_, mask_ + 1); }
  BlockTable(const BlockTable&) = delete;
  BlockTable& operator=(const BlockTable&) = delete;

  // Loads what a lookup of this address will touch.
  void Prefetch(std::uint64_t address) const { __builtin_prefetch(&entries_[Home(address)], 1); }

  // Adds the block. Where one with its address is there, that is replaced and returned in `replaced`: true.
  bool Insert(const Block& block, Block& replaced) {
    std::size_t index = Home(block.address);
    while (entries_[index].high != 0) {
      if (AddressOf(entries_[index]) == block.address) {
        replaced = Unpack(entries_[index]);
        entries_[index] = Pack(block);
        return true;
      }
      index = (index + 1) & mask_;
    }
    entries_[index] = Pack(block);
    if (++size_ > mask_ / 4 * 3) [[unlikely]]
      Resize((mask_ + 1) * 2);
    return false;
  }

  // Takes the block at this address out; false when there is none.
  bool Remove(std::uint64_t address, Block& removed) {
    std::size_t index = Home(address);
    while (AddressOf(entries_[index]) != address) {
      if (entries_[index].high == 0) return false;
      index = (index + 1) & mask_;
    }
    removed = Unpack(entries_[index]);
    CloseGap(index);
    --size_;
    if (size_ < mask_ / 16 && mask_ >= kMinimum) [[unlikely]]
      Resize((mask_ + 1) / 4);
    return true;
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kMinimum = 1 << 12;

  // high: address, and above it the upper 16 bits of the allocation's number; low: its lower 24 bits, then the size.
  // high is 0 in an empty entry alone.
  struct Entry {
    std::uint64_t high, low;
  };
  static constexpr std::uint64_t kAddressMask = (std::uint64_t{1} << 48) - 1;
  static constexpr std::uint64_t kSizeMask = (std::uint64_t{1} << 40) - 1;

  static Entry Pack(const Block& block) {
    return {block.address | (block.allocation >> 24) << 48,
            (block.allocation & 0xffffff) << 40 | (block.size & kSizeMask)};
  }
  static std::uint64_t AddressOf(const Entry& entry) { return entry.high & kAddressMask; }
  static Block Unpack(const Entry& entry) {
    return {AddressOf(entry), (entry.high >> 48) << 24 | entry.low >> 40, entry.low & kSizeMask};
  }

  // Blocks in the same 256 bytes are at most 16 entries apart, so that neighbours in memory share cache lines here too;
  // what is further apart is scattered, so that no dense region overlaps another.
  [[nodiscard]] std::size_t Home(std::uint64_t address) const {
    const std::uint64_t group = (address >> 8) * 0x9e37'79b9'7f4a'7c15;
    return ((group >> 20) + (address >> 4)) & mask_;
  }

  // Moves later entries of the chain back, so that no mark of a removed one is needed.
  void CloseGap(std::size_t gap) {
    std::size_t index = gap;
    while (true) {
      index = (index + 1) & mask_;
      if (entries_[index].high == 0) break;
      const std::size_t home = Home(AddressOf(entries_[index]));
      if (((index - home) & mask_) >= ((index - gap) & mask_)) {
        entries_[gap] = entries_[index];
        gap = index;
      }
    }
    entries_[gap] = {0, 0};
  }

  void Resize(std::size_t capacity) {
    Entry* const old = entries_;
    const std::size_t old_capacity = mask_ + 1;
    entries_ = Allocate(capacity);
    mask_ = capacity - 1;
    for (std::size_t i = 0; i < old_capacity; ++i) {
      if (old[i].high == 0) continue;
      std::size_t index = Home(AddressOf(old[i]));
      while (entries_[index].high != 0) index = (index + 1) & mask_;
      entries_[index] = old[i];
    }
    Release(old, old_capacity);
  }

  // Straight from the kernel: zeroed, in huge pages where there are any, and given back at once.
  static Entry* Allocate(std::size_t capacity) {
    void* memory = mmap(nullptr, capacity * sizeof(Entry), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    if (capacity * sizeof(Entry) >= (std::size_t{2} << 20)) madvise(memory, capacity * sizeof(Entry), MADV_HUGEPAGE);
    return static_cast<Entry*>(memory);
  }
  static void Release(Entry* entries, std::size_t capacity) { munmap(entries, capacity * sizeof(Entry)); }

  Entry* entries_;
  std::size_t mask_;
  std::size_t size_ = 0;
};

}  // namespace leaktrace::record
