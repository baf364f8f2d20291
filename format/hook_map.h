// The hook map: the entry points of allocators that are linked statically into the target's executable, as the recorder's discovery found
// them and the library's patcher uses them. Plain data in the session's memory, at SessionHeader::hook_map_offset. The same rules as in
// ring.h hold.
#pragma once

#include "format/ring.h"

namespace leaktrace::format {

inline constexpr std::uint32_t kHookMapVersion = 2;
inline constexpr std::uint32_t kMaxHooks = 256;
inline constexpr std::uint32_t kMaxDisplacedBytes = 32;
inline constexpr std::uint8_t kNoRegister = 0xff;

// What an entry point does. The register fields of HookEntry say which argument is which; so one role serves plain and heap variants.
enum class HookRole : std::uint16_t {
  kNone = 0,
  kAllocate,        // returns a block of `size` bytes (times `count` where there is one), zeroed or not, aligned or not
  kReallocate,      // `pointer` is resized to `size` (times `count`); returns the new block, null on failure (and then frees, for kReallocf)
  kDuplicate,       // returns a copy of a string or region: the size is the block's usable size
  kPosixMemalign,   // stores the block through `out`, returns an error number
  kFree,            // releases `pointer`
  kUsableSize,      // not patched: asked for the size of what kDuplicate returns
  kHeapNew,         // returns a heap
  kHeapDelete,      // the heap's blocks live on in the default heap
  kHeapDestroy,     // releases every block of `heap`
  kExpand,          // resizes `pointer` in place or returns null
  // Not functions but places inside of functions that are more than an entry point (the allocator's code inlined into another function, or a
  // block whose size is no argument). Their registers are hardware numbers (0 = rax ... 15 = r15).
  kAllocateSite,    // `pointer` is the block about to be handed out, `heap` the register of its page: the size is the page's block size
  kFreeSite,        // `pointer` is the block about to be put back
};

// A 32-bit displacement in relocated bytes. As stored it counts from HookEntry::address; where the bytes run, it must count from their `end`:
// add (address of the entry) - (address of the relocated bytes + end).
struct HookFixup {
  std::uint8_t offset;  // of the displacement in the relocated bytes
  std::uint8_t end;     // of its instruction
};
inline constexpr std::uint32_t kMaxFixups = 3;

enum HookFlags : std::uint8_t {
  kHookFreesOnFailure = 1,   // kReallocate: when it returns null, the old block was freed
  kHookAdjusts = 2,          // the block may be inside a larger one
};

// Argument registers are numbered in the order of the System V ABI: 0 = rdi, 1 = rsi, 2 = rdx, 3 = rcx, 4 = r8, 5 = r9.
struct HookEntry {
  std::uint64_t address;            // in the ELF file's addresses; add the load address
  HookRole role;
  EntryPoint entry;                 // what reports call it
  std::uint8_t allocator;           // index into HookMapTable::allocators
  std::uint8_t size_register, count_register, alignment_register, pointer_register;
  std::uint8_t heap_register, out_register;
  std::uint8_t zeroes;              // 1: returns zeroed memory
  std::uint8_t displaced_bytes;     // whole instructions at the address that the jump replaces; 5..kMaxDisplacedBytes
  std::uint8_t relocated_bytes;     // the same instructions, fit to run elsewhere (position independent)
  std::uint8_t flags;               // HookFlags
  std::uint8_t fixup_count;
  HookFixup fixups[kMaxFixups];
  std::uint8_t reserved[3];
  std::uint8_t original[kMaxDisplacedBytes];   // what must be at the address before it is patched
  std::uint8_t relocated[kMaxDisplacedBytes];
};
static_assert(sizeof(HookEntry) == 96);

struct HookAllocator {
  char name[32];                    // "mimalloc v3"
  std::uint32_t complete;           // 1: every pop and push of a free list is accounted for
  std::uint8_t block_size_offset;   // of the block size in a page
  std::uint8_t block_size_bytes;    // its width; 0 = not known
  std::uint8_t reserved[2];
};
static_assert(sizeof(HookAllocator) == 40);

enum class PatchState : std::uint32_t { kNone = 0, kPatched = 1, kFailed = 2, kProofFailed = 3 };

struct HookMapTable {
  std::uint32_t version;
  std::uint32_t allocator_count;
  std::uint32_t entry_count;        // 0: nothing to patch
  std::uint32_t system_malloc_switch;  // 1: JavaScriptCore's own allocator is linked in, which Malloc=1 makes use the system's
  HookAllocator allocators[kMaxAllocators];
  HookEntry entries[kMaxHooks];
  // Filled by the library after proof and patch, read by the recorder for the trace.
  std::atomic<PatchState> allocator_state[kMaxAllocators];
  std::uint8_t proof_failed[kMaxHooks];   // 1: this entry's behaviour was not what its role says
};

}  // namespace leaktrace::format
