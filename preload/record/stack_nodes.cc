#include "preload/record/stack_nodes.h"

#include "preload/base/memory.h"
#include "preload/base/syscall.h"
#include "preload/session/clock.h"
#include "preload/thread/ring_writer.h"

namespace leaktrace::preload {

std::uint32_t StackNodes::Add(ThreadState& thread, std::uint32_t parent, std::uint64_t word, std::uint32_t auxiliary) {
  if (Full() || (count_ == capacity_ && !Grow())) return kNoNode;
  const bool written =
      Append(thread, RecordWord(format::Op::kFrame, StampRelease()), std::uint64_t{parent} << 32 | auxiliary, word);
  if (!written) return kNoNode;
  const std::uint32_t id = ++count_;
  nodes_[id] = {word, parent, auxiliary};
  Enter(id);
  return id;
}

void StackNodes::Enter(std::uint32_t id) {
  const Node& node = nodes_[id];
  std::uint32_t at = Hash(node.parent, node.word, node.auxiliary) >> shift_;
  while (index_[at] != kNoNode) at = (at + 1) & (index_size_ - 1);
  index_[at] = id;
}

bool StackNodes::Grow() {
  const std::uint32_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
  auto* const nodes = static_cast<Node*>(MapPages((capacity + 1) * sizeof(Node)));
  if (nodes == nullptr) return false;
  auto* const index = static_cast<std::uint32_t*>(MapPages(capacity * 2 * sizeof(std::uint32_t)));
  if (index == nullptr) {
    UnmapPages(nodes, (capacity + 1) * sizeof(Node));
    return false;
  }
  if (count_ != 0) Copy(nodes, nodes_, (count_ + 1) * sizeof(Node));
  const std::uint32_t count = count_;
  Release();
  nodes_ = nodes;
  index_ = index;
  capacity_ = capacity;
  index_size_ = capacity * 2;
  shift_ = static_cast<std::uint32_t>(__builtin_clz(index_size_)) + 1;
  count_ = count;
  for (std::uint32_t id = 1; id <= count_; ++id) Enter(id);
  return true;
}

bool StackNodes::Reset(ThreadState& thread) {
  constexpr std::uint64_t kEmptied = ~0ull;
  if (count_ == 0) return true;
  if (!Append(thread, RecordWord(format::Op::kFrame, StampRelease()), kEmptied, std::uint64_t{0})) return false;
  count_ = 0;
  Clear(index_, index_size_ * sizeof(std::uint32_t));
  return true;
}

void StackNodes::Release() {
  if (nodes_ == nullptr) return;
  UnmapPages(nodes_, (capacity_ + 1) * sizeof(Node));
  UnmapPages(index_, index_size_ * sizeof(std::uint32_t));
  nodes_ = nullptr;
  index_ = nullptr;
  count_ = capacity_ = 0;
}

}  // namespace leaktrace::preload
