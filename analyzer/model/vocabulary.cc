// The words of reports for what traces hold as numbers.
#include <array>

#include "analyzer/model/trace_model.h"

namespace leaktrace::model {

double Integrity::Coverage() const {
  std::uint64_t known = 0;
  std::uint64_t unknown = dropped + lost_events;
  for (const AllocatorIntegrity& allocator : allocators) {
    known += allocator.allocations + allocator.frees;
    unknown += allocator.unknown_frees + allocator.overlaps;
  }
  if (known + unknown == 0) return 1;
  return static_cast<double>(known) / static_cast<double>(known + unknown);
}

std::string_view TraceModel::AllocatorName(std::uint8_t allocator) const {
  if (allocator == format::kAllocatorLibc) return "libc";
  if (allocator < integrity.allocators.size()) return integrity.allocators[allocator].name;
  if (allocator <= hooked_allocators.size()) return hooked_allocators[allocator - 1];
  return "unknown";
}

std::string_view RequestPhaseName(format::RequestPhase phase) {
  using format::RequestPhase;
  switch (phase) {
    case RequestPhase::kAccept:
      return "accept";
    case RequestPhase::kReceive:
      return "receive";
    case RequestPhase::kRespond:
      return "respond";
    case RequestPhase::kClose:
      return "close";
    case RequestPhase::kIdle:
      return "idle";
    case RequestPhase::kBackground:
      return "background";
    default:
      return "";
  }
}

std::string_view EntryPointName(format::EntryPoint entry) {
  static constexpr auto kNames = std::to_array<std::string_view>({"",
                                                                  "malloc",
                                                                  "calloc",
                                                                  "realloc",
                                                                  "reallocarray",
                                                                  "free",
                                                                  "memalign",
                                                                  "aligned_alloc",
                                                                  "posix_memalign",
                                                                  "valloc",
                                                                  "pvalloc",
                                                                  "free_sized",
                                                                  "free_aligned_sized",
                                                                  "operator new",
                                                                  "operator new[]",
                                                                  "operator new(nothrow)",
                                                                  "operator new[](nothrow)",
                                                                  "operator new(align)",
                                                                  "operator new[](align)",
                                                                  "operator delete",
                                                                  "operator delete[]",
                                                                  "zalloc",
                                                                  "reallocf",
                                                                  "rezalloc",
                                                                  "recalloc",
                                                                  "strdup",
                                                                  "heap_new",
                                                                  "heap_delete",
                                                                  "heap_destroy",
                                                                  "expand",
                                                                  "mmap",
                                                                  "mremap",
                                                                  "munmap"});
  static_assert(kNames.size() == static_cast<std::size_t>(format::EntryPoint::kCount));
  const auto index = static_cast<std::size_t>(entry);
  return index < kNames.size() ? kNames[index] : "";
}

}  // namespace leaktrace::model
