#include "preload/record/stack_tree.h"

#include "preload/base/attributes.h"
#include "preload/base/syscall.h"
#include "preload/js/frames.h"
#include "preload/record/stack_memo.h"
#include "preload/record/stack_nodes.h"
#include "preload/record/stack_walk.h"
#include "preload/session/process.h"
#include "preload/unwind/readable_stack.h"
#include "preload/unwind/row_finder.h"

namespace leaktrace::preload {

struct StackTree {
  std::uint32_t unwind_epoch;
  std::uint32_t js_epoch;
  StackNodes nodes;
  RowFinder rows;
  StackMemo memo;
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

// What the memo holds of a stack: its node, and how it ended where that is counted.
constexpr std::uint32_t kTruncatedFlag = 1u << 30, kBrokenFlag = 1u << 31;
static_assert(format::SizeWord::kMaxNode < kTruncatedFlag);

LEAKTRACE_HOT std::uint32_t CountAndStrip(ThreadState& thread, std::uint32_t value) {
  if ((value & (kTruncatedFlag | kBrokenFlag)) != 0) [[unlikely]] {
    Count((value & kTruncatedFlag) != 0 ? thread.slot->truncated : thread.slot->broken);
  }
  return value & format::SizeWord::kMaxNode;
}

// Interns the stack of the last walk; the value is as the memo holds it, kNoNode where it failed.
std::uint32_t InternWalk(ThreadState& thread, StackTree& tree) {
  using format::FrameKind;
  using format::FrameWord;
  const StackWalk& walk = tree.walk;
  std::uint32_t node = kNoNode, flags = 0;
  if (walk.end != WalkEnd::kOutermost) {
    const bool truncated = walk.end == WalkEnd::kTruncated;
    flags = truncated ? kTruncatedFlag : kBrokenFlag;
    const std::uint64_t missing = truncated ? FrameWord::Pack(FrameKind::kTruncated, walk.count)
                                            : FrameWord::Pack(FrameKind::kBroken, walk.last_pc);
    node = tree.nodes.Intern(thread, kNoNode, missing, 0);
    if (node == kNoNode) return kNoNode;
  }
  for (std::uint32_t i = walk.count; i-- > 0;) {
    node = tree.nodes.Intern(thread, node, walk.frames[i].word, walk.frames[i].auxiliary);
    if (node == kNoNode) return kNoNode;
  }
  return node | flags;
}

LEAKTRACE_COLD std::uint32_t CaptureUnknown(ThreadState& thread, StackTree& tree, const Registers& registers) {
  if (tree.nodes.Full()) {
    if (!tree.nodes.Reset(thread)) return kNoNode;
    tree.memo.Clear();
  }
  tree.walk.Run(thread, tree.rows, registers);
  const std::uint32_t value = InternWalk(thread, tree);
  if (value != kNoNode && tree.walk.own_stack) tree.memo.Enter(tree.walk, registers, value);
  return CountAndStrip(thread, value);
}

// What was derived from rows that have changed, or from addresses of code that is another's now, is void. False: that
// could not be written.
LEAKTRACE_COLD bool Renew(ThreadState& thread, StackTree& tree, std::uint32_t unwind_epoch) {
  const std::uint32_t js_epoch = js::Epoch();
  if (tree.js_epoch != js_epoch && !tree.nodes.Reset(thread)) return false;
  tree.js_epoch = js_epoch;
  tree.rows.Clear();
  tree.memo.Clear();
  tree.unwind_epoch = unwind_epoch;
  return true;
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
  if (tree->unwind_epoch != epoch || tree->js_epoch != js::Epoch()) [[unlikely]] {
    if (!Renew(thread, *tree, epoch)) return kNoNode;
  }
  if (OnOwnStack(thread, registers.sp)) [[likely]] {
    if (const std::uint32_t known = tree->memo.Find(registers); known != 0) [[likely]]
      return CountAndStrip(thread, known);
  }
  return CaptureUnknown(thread, *tree, registers);
}

void ReleaseStackTree(ThreadState& thread) {
  if (thread.tree == nullptr) return;
  thread.tree->nodes.Release();
  UnmapPages(thread.tree, sizeof(StackTree));
  thread.tree = nullptr;
}

}  // namespace leaktrace::preload
