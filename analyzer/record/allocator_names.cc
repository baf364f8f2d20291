#include "analyzer/record/allocator_names.h"

#include <algorithm>
#include <cstring>

#include "format/hook_map.h"

namespace leaktrace::record {

std::vector<AllocatorName> AllocatorNames(const Session& session) {
  std::vector<AllocatorName> names = {{"libc", "hooked", true}};
  const format::HookMapTable* const map = session.hook_map();
  if (map == nullptr || map->version != format::kHookMapVersion || map->entry_count == 0) return names;
  const std::uint32_t count = std::min<std::uint32_t>(map->allocator_count, format::kMaxAllocators - 1);
  for (std::uint32_t i = 0; i < count; ++i) {
    const format::HookAllocator& allocator = map->allocators[i];
    const format::PatchState state = map->allocator_state[i].load(std::memory_order_acquire);
    const bool patched = state == format::PatchState::kPatched;
    const char* text = state == format::PatchState::kProofFailed ? "proof failed"
                       : state == format::PatchState::kFailed    ? "could not be patched"
                                                                 : "found, not hooked";
    names.push_back({std::string(allocator.name, strnlen(allocator.name, sizeof(allocator.name))),
                     patched ? "hooked" : text, patched && allocator.complete == 1});
  }
  return names;
}

const char* RoleName(format::HookRole role) {
  using format::HookRole;
  switch (role) {
    case HookRole::kAllocate:
      return "allocate";
    case HookRole::kReallocate:
      return "reallocate";
    case HookRole::kDuplicate:
      return "duplicate";
    case HookRole::kPosixMemalign:
      return "allocate aligned";
    case HookRole::kFree:
      return "free";
    case HookRole::kHeapNew:
      return "new heap";
    case HookRole::kHeapDelete:
      return "delete heap";
    case HookRole::kHeapDestroy:
      return "destroy heap";
    case HookRole::kExpand:
      return "expand";
    default:
      return "allocator";
  }
}

}  // namespace leaktrace::record
