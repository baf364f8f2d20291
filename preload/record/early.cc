#include "preload/record/early.h"

#include "preload/base/spin_lock.h"
#include "preload/session/clock.h"
#include "preload/session/process.h"
#include "preload/thread/ring_writer.h"

namespace leaktrace::preload {
namespace {

struct EarlyBlock {
  const void* address;
  std::size_t bytes;
  format::EntryPoint entry;
};

// A process has about ten of these; those that find no room are recorded as frees of unknown blocks, if they are freed.
constexpr std::size_t kCapacity = 1024;

constinit SpinLock lock;
constinit EarlyBlock blocks[kCapacity]{};
constinit std::size_t count = 0;

}  // namespace

void NoteEarlyAllocation(const void* block, std::size_t bytes, format::EntryPoint entry) {
  if (block == nullptr || process.session.load(std::memory_order_relaxed) != kUndecided) return;
  const SpinLockHolder holder(lock);
  if (count < kCapacity) blocks[count++] = {block, bytes, entry};
}

void NoteEarlyRelease(const void* block) {
  if (block == nullptr || process.session.load(std::memory_order_relaxed) != kUndecided) return;
  const SpinLockHolder holder(lock);
  for (std::size_t i = count; i > 0; --i) {
    if (blocks[i - 1].address != block) continue;
    blocks[i - 1] = blocks[--count];
    return;
  }
}

void RecordEarlyBlocks(ThreadState& thread) {
  const SpinLockHolder holder(lock);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t word =
        format::BlockWord::Pack(reinterpret_cast<std::uintptr_t>(blocks[i].address),
                                static_cast<unsigned>(blocks[i].entry), format::kAllocatorLibc, 0);
    Append(thread, RecordWord(format::Op::kAlloc, StampAcquisition()), word,
           format::SizeWord::Pack(blocks[i].bytes, 0));
  }
  count = 0;
}

}  // namespace leaktrace::preload
