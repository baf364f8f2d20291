// Blocks whose address was allocated again before their release showed.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/record/block_table.h"

namespace leaktrace::record {

// An acquisition is stamped by an instruction that the processor may run before the load that yielded the block: so its
// stamp can lie before that of the release that made the address free, by what a processor can hold in flight. Until
// that time has passed, a release of the address by another thread is taken as that of the earlier block. After it, the
// earlier block counts as an overlap: its release was not seen. One thread.
class OverlapWatch {
 public:
  [[nodiscard]] bool empty() const { return waiting_.empty(); }

  // `block` gave way to one that `ring` allocated from this allocator. Its release may be stamped up to `deadline`.
  void Add(const Block& block, std::uint32_t ring, std::uint64_t deadline, unsigned allocator) {
    waiting_.push_back({block, ring, deadline, allocator});
  }

  // True when a release at this address by this ring is that of an earlier block, which is given and forgotten.
  bool Take(std::uint64_t address, std::uint32_t ring, std::uint64_t stamp, Block& block) {
    for (auto entry = waiting_.begin(); entry != waiting_.end(); ++entry) {
      if (entry->block.address != address || entry->ring == ring || stamp > entry->deadline) continue;
      block = entry->block;
      waiting_.erase(entry);
      return true;
    }
    return false;
  }

  // Calls function(block, allocator) for each block whose deadline lies before `stamp`, and forgets it.
  template <typename Function>
  void Expire(std::uint64_t stamp, Function&& function) {
    std::erase_if(waiting_, [&](const Entry& entry) {
      if (entry.deadline >= stamp) return false;
      function(entry.block, entry.allocator);
      return true;
    });
  }

 private:
  struct Entry {
    Block block;
    std::uint32_t ring;
    std::uint64_t deadline;
    unsigned allocator;
  };

  std::vector<Entry> waiting_;
};

}  // namespace leaktrace::record
