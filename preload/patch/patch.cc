#include "preload/patch/patch.h"

#include <link.h>
#include <stdlib.h>

#include <cstdint>

#include "preload/base/memory.h"
#include "preload/base/message.h"
#include "preload/patch/code_area.h"
#include "preload/patch/hook_table.h"
#include "preload/patch/proof.h"
#include "preload/patch/stub.h"

namespace leaktrace::preload {
namespace {

using format::HookEntry;
using format::HookMapTable;
using format::PatchState;

// Survives fork, as the patched code does.
constinit PatchState states[format::kMaxAllocators] = {};
constinit bool done = false;

// Where the executable lies.
struct Executable {
  std::uintptr_t load_address = 0, low = ~0ull, high = 0;
};

int FindExecutable(dl_phdr_info* info, std::size_t, void* result) {
  auto& executable = *static_cast<Executable*>(result);
  executable.load_address = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr, end = begin + segment.p_memsz;
    if (begin < executable.low) executable.low = begin;
    if (end > executable.high) executable.high = end;
  }
  return 1;  // the first object is the executable
}

bool IsSound(const HookMapTable& map, const Executable& executable) {
  if (map.version != format::kHookMapVersion || map.entry_count > format::kMaxHooks ||
      map.allocator_count >= format::kMaxAllocators)
    return false;
  for (std::uint32_t i = 0; i < map.entry_count; ++i) {
    const HookEntry& entry = map.entries[i];
    const std::uintptr_t address = entry.address + executable.load_address;
    if (address < executable.low || address + format::kMaxDisplacedBytes > executable.high ||
        entry.allocator >= map.allocator_count || !IsUsable(entry)) {
      return false;
    }
  }
  return true;
}

// The bytes of each entry are what discovery saw.
bool Matches(const HookMapTable& map, std::uint32_t allocator, std::uintptr_t load_address) {
  for (std::uint32_t i = 0; i < map.entry_count; ++i) {
    const HookEntry& entry = map.entries[i];
    if (entry.allocator != allocator) continue;
    const auto* const code = reinterpret_cast<const std::uint8_t*>(entry.address + load_address);
    for (unsigned byte = 0; byte < entry.displaced_bytes; ++byte) {
      if (code[byte] != entry.original[byte]) return false;
    }
  }
  return true;
}

void Restore(const HookMapTable& map, std::uint32_t allocator, std::uint32_t count, std::uintptr_t load_address) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const HookEntry& entry = map.entries[i];
    if (entry.allocator == allocator) {
      WriteCode(reinterpret_cast<std::uint8_t*>(entry.address + load_address), entry.original, entry.displaced_bytes);
    }
  }
}

bool WriteJumps(const HookMapTable& map, std::uint32_t allocator, std::uintptr_t load_address,
                const std::uint8_t* stubs) {
  for (std::uint32_t i = 0; i < map.entry_count; ++i) {
    const HookEntry& entry = map.entries[i];
    if (entry.allocator != allocator) continue;
    auto* const at = reinterpret_cast<std::uint8_t*>(entry.address + load_address);
    std::uint8_t jump[format::kMaxDisplacedBytes];
    BuildJump(at, stubs + i * kStubBytes, entry.displaced_bytes, jump);
    if (!WriteCode(at, jump, entry.displaced_bytes)) {
      Restore(map, allocator, i + 1, load_address);
      return false;
    }
  }
  return true;
}

PatchState PatchAllocator(HookMapTable& map, std::uint32_t allocator, const Executable& executable,
                          const CodeArea& area, const bool* proved) {
  if (map.allocators[allocator].complete != 1) {
    Say("the executable's ", map.allocators[allocator].name,
        " has places that cannot be hooked; its blocks are not traced");
    return PatchState::kFailed;
  }
  if (!proved[allocator]) {
    Say("the executable's ", map.allocators[allocator].name, " does not behave as expected; its blocks are not traced");
    return PatchState::kProofFailed;
  }
  if (!Matches(map, allocator, executable.load_address) ||
      !WriteJumps(map, allocator, executable.load_address, area.begin())) {
    Say("the executable's code cannot be changed; the blocks of its ", map.allocators[allocator].name,
        " are not traced");
    return PatchState::kFailed;
  }
  return PatchState::kPatched;
}

// The environment of a program belongs to it: the string must stay.
void UseSystemMalloc() {
  static char variable[] = "Malloc=1";
  putenv(variable);
}

void Patch(HookMapTable& map) {
  Executable executable;
  dl_iterate_phdr(FindExecutable, &executable);
  if (!IsSound(map, executable)) {
    Say("the hook map is damaged; the executable's own allocator is not traced");
    return;
  }
  CodeArea area;
  if (!area.Map(executable.low, executable.high, map.entry_count * kStubBytes)) {
    Say("there is no room for code near the executable; its own allocator is not traced");
    return;
  }
  for (std::uint32_t i = 0; i < map.entry_count; ++i) {
    const HookEntry& entry = map.entries[i];
    const format::HookAllocator& allocator = map.allocators[entry.allocator];
    const auto original = BuildStub(entry, entry.address + executable.load_address, i, area.begin() + i * kStubBytes);
    patched_hooks[i] = {.original = original,
                        .place = entry.address + executable.load_address + entry.displaced_bytes,
                        .entry = entry.entry,
                        .allocator = static_cast<std::uint8_t>(entry.allocator + 1),
                        .size = entry.size_register,
                        .count = entry.count_register,
                        .pointer = entry.pointer_register,
                        .heap = entry.heap_register,
                        .out = entry.out_register,
                        .flags = entry.flags,
                        .block_size_offset = allocator.block_size_offset,
                        .block_size_bytes = allocator.block_size_bytes};
  }
  if (!area.Seal()) {
    area.Unmap();
    Say("memory cannot be made executable; the executable's own allocator is not traced");
    return;
  }
  bool proved[format::kMaxAllocators];
  ProveEntries(map, executable.load_address, proved);
  for (std::uint32_t i = 0; i < map.allocator_count; ++i) states[i] = PatchAllocator(map, i, executable, area, proved);
}

}  // namespace

void PatchStaticAllocators(format::SessionHeader& header) {
  if (header.options.hooks == 0) return;
  auto& map = *reinterpret_cast<HookMapTable*>(reinterpret_cast<std::uint8_t*>(&header) + header.hook_map_offset);
  if (!done) {
    done = true;
    if (map.system_malloc_switch != 0 && header.options.keep_libpas == 0) UseSystemMalloc();
    if (map.entry_count != 0) Patch(map);
  }
  for (std::uint32_t i = 0; i < format::kMaxAllocators; ++i)
    map.allocator_state[i].store(states[i], std::memory_order_relaxed);
  // Matched by the recorder's acquire load.
  header.patch_state.store(static_cast<std::uint32_t>(states[0]), std::memory_order_release);
}

}  // namespace leaktrace::preload
