// The nodes of one thread's stack tree: each is a frame and the node of its caller, numbered from 1, and each is
// written to the thread's ring once (format/ring.h, kFrame). For the thread itself, with its guard at kWriting.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/base/attributes.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

inline constexpr std::uint32_t kNoNode = 0;

// Zeroed memory is an empty table.
class StackNodes {
 public:
  // The node of the frame (`word`, `auxiliary`) whose caller is `parent`; a new one is written to the ring first.
  // kNoNode: it could not be written, or there is no memory.
  LEAKTRACE_HOT std::uint32_t Intern(ThreadState& thread, std::uint32_t parent, std::uint64_t word,
                                     std::uint32_t auxiliary) {
    if (index_ == nullptr) [[unlikely]]
      return Add(thread, parent, word, auxiliary);
    for (std::uint32_t at = Hash(parent, word, auxiliary) >> shift_;; at = (at + 1) & (index_size_ - 1)) {
      const std::uint32_t id = index_[at];
      if (id == kNoNode) [[unlikely]]
        return Add(thread, parent, word, auxiliary);
      const Node& node = nodes_[id];
      if (node.word == word && node.parent == parent && node.auxiliary == auxiliary) return id;
    }
  }

  // Forgets all nodes and tells the recorder so; false: that could not be written, and the table is as it was.
  bool Reset(ThreadState& thread);

  // True: no more nodes can be added until Reset.
  [[nodiscard]] bool Full() const { return count_ >= kMaxNodes; }

  // Gives the memory back.
  void Release();

 private:
  struct Node {
    std::uint64_t word;
    std::uint32_t parent;
    std::uint32_t auxiliary;
  };

  // 16 MiB of nodes and 8 MiB of index; more stacks than that are those of runaway recursion, which are better begun
  // anew than kept.
  static constexpr std::uint32_t kMaxNodes = 1u << 20;
  static constexpr std::uint32_t kFirstCapacity = 1u << 10;

  LEAKTRACE_HOT static std::uint32_t Hash(std::uint32_t parent, std::uint64_t word, std::uint32_t auxiliary) {
    const std::uint64_t mixed =
        (word ^ (std::uint64_t{parent} << 32 | auxiliary) * 0x9e37'79b9'7f4a'7c15) * 0xd6e8'feb8'6659'fd93;
    return static_cast<std::uint32_t>(mixed >> 32);
  }

  LEAKTRACE_COLD std::uint32_t Add(ThreadState& thread, std::uint32_t parent, std::uint64_t word,
                                   std::uint32_t auxiliary);
  bool Grow();
  void Enter(std::uint32_t id);

  Node* nodes_;           // nodes_[1 .. count_]; capacity_ + 1 of them have room
  std::uint32_t* index_;  // open addressing, at most half full: ids by hash
  std::uint32_t index_size_;
  std::uint32_t shift_;  // the index's position is the top bits of the hash
  std::uint32_t count_;
  std::uint32_t capacity_;
};

}  // namespace leaktrace::preload
