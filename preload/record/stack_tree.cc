#include "preload/record/stack_tree.h"

#include "preload/base/attributes.h"
#include "preload/base/syscall.h"
#include "preload/record/stack_nodes.h"
#include "preload/record/stack_walk.h"
#include "preload/session/process.h"
#include "preload/unwind/row_finder.h"

namespace leaktrace::preload {

struct StackTree {
  std::uint32_t unwind_epoch;
  StackNodes nodes;
  RowFinder rows;
  StackWalk walk;
};

namespace {

LEAKTRACE_COLD StackTree* MakeTree(ThreadState& thread) {
  auto* const tree = static_cast<StackTree*>(MapPages(sizeof(StackTree)));
  if (tree != nullptr) thread.tree = tree;
  return tree;
}

// Counters of the slot are written by its thread alone.
void Count(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// The node that stands for what is missing beyond the outermost frame that was found; kNoNode where nothing is.
std::uint64_t MissingFrame(const StackWalk& walk) {
  using format::FrameKind;
  using format::FrameWord;
  return walk.end == WalkEnd::kTruncated ? FrameWord::Pack(FrameKind::kTruncated, walk.count)
                                         : FrameWord::Pack(FrameKind::kBroken, walk.last_pc);
}

std::uint32_t InternWalk(ThreadState& thread, StackTree& tree) {
  const StackWalk& walk = tree.walk;
  std::uint32_t node = kNoNode;
  if (walk.end != WalkEnd::kOutermost) {
    Count(walk.end == WalkEnd::kTruncated ? thread.slot->truncated : thread.slot->broken);
    node = tree.nodes.Intern(thread, node, MissingFrame(walk), 0);
    if (node == kNoNode) return kNoNode;
  }
  for (std::uint32_t i = walk.count; i-- > 0;) {
    node = tree.nodes.Intern(thread, node, walk.frames[i].word, walk.frames[i].auxiliary);
    if (node == kNoNode) return kNoNode;
  }
  return node;
}

}  // namespace

std::uint32_t CaptureStack(ThreadState& thread, const Registers& registers) {
  StackTree* tree = thread.tree;
  if (tree == nullptr) [[unlikely]] {
    tree = MakeTree(thread);
    if (tree == nullptr) return kNoNode;
  }
  // Matched by the recorder's release store after it has changed the modules.
  const std::uint32_t epoch = process.header->unwind_epoch.load(std::memory_order_acquire);
  if (tree->unwind_epoch != epoch) [[unlikely]] {
    tree->rows.Clear();
    tree->unwind_epoch = epoch;
  }
  if (tree->nodes.Full() && !tree->nodes.Reset(thread)) return kNoNode;
  tree->walk.Run(thread, tree->rows, registers);
  return InternWalk(thread, *tree);
}

void ReleaseStackTree(ThreadState& thread) {
  if (thread.tree == nullptr) return;
  thread.tree->nodes.Release();
  UnmapPages(thread.tree, sizeof(StackTree));
  thread.tree = nullptr;
}

}  // namespace leaktrace::preload
