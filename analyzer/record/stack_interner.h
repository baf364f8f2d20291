// Merges the stack trees of all threads into one, and numbers what allocations have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/trace/definitions.h"
#include "format/ring.h"

namespace leaktrace::record {

// The tree of all stacks. A frame keeps its id for the whole trace. One thread.
class StackInterner {
 public:
  explicit StackInterner(trace::FrameEncoder& encoder) : encoder_(encoder) {}

  // The id of the frame with this caller. `word` and `auxiliary` say what the frame is; `identity` what tells it apart
  // from others where that is not the same (0 = it is): JavaScript frames are what they are named, wherever their code
  // lies at the moment. `added`: set to true when it was not there before.
  std::uint32_t Intern(std::uint32_t parent, std::uint64_t word, std::uint32_t auxiliary, std::uint64_t identity,
                       bool& added);

  // The stack `stack` on top of the stack `base`: what a thread does for another that queued the work.
  std::uint32_t Graft(std::uint32_t stack, std::uint32_t base);

 private:
  struct Key {
    std::uint64_t word;
    std::uint64_t parent_and_auxiliary;

    friend bool operator==(const Key&, const Key&) = default;
    template <typename Hash>
    friend Hash AbslHashValue(Hash hash, const Key& key) {
      return Hash::combine(std::move(hash), key.word, key.parent_and_auxiliary);
    }
  };

  trace::FrameEncoder& encoder_;
  absl::flat_hash_map<Key, std::uint32_t> ids_;
  struct Node {
    std::uint64_t word, identity;
    std::uint32_t parent, auxiliary;
  };
  std::vector<Node> nodes_ = {{}};  // by id: to walk from a frame to its callers
};

}  // namespace leaktrace::record
