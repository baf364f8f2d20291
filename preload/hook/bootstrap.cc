#include "preload/hook/bootstrap.h"

#include <atomic>

#include "preload/base/memory.h"

namespace leaktrace::preload {

alignas(16) constinit char bootstrap_area[kBootstrapBytes]{};

namespace {

constinit std::atomic<std::size_t> used{0};
// The size of a block lies before it, in a word of its own.
constexpr std::size_t kHeaderBytes = 16;

}  // namespace

void* BootstrapAllocateAligned(std::size_t alignment, std::size_t bytes) {
  if (alignment < kHeaderBytes) alignment = kHeaderBytes;
  if (bytes > kBootstrapBytes || alignment > kBootstrapBytes) return nullptr;
  const std::size_t need = ((bytes + kHeaderBytes - 1) & ~(kHeaderBytes - 1)) + alignment + kHeaderBytes;
  const std::size_t begin = used.fetch_add(need, std::memory_order_relaxed);
  if (begin + need > kBootstrapBytes) return nullptr;
  const auto first = reinterpret_cast<std::uintptr_t>(bootstrap_area) + begin + kHeaderBytes;
  auto* const block = reinterpret_cast<char*>((first + alignment - 1) & ~(alignment - 1));
  Copy(block - sizeof(bytes), &bytes, sizeof(bytes));
  return block;
}

void* BootstrapAllocate(std::size_t bytes) { return BootstrapAllocateAligned(kHeaderBytes, bytes); }

void* BootstrapAllocateZeroed(std::size_t count, std::size_t bytes) {
  std::size_t total = 0;
  return __builtin_mul_overflow(count, bytes, &total) ? nullptr : BootstrapAllocate(total);
}

void* BootstrapReallocate(void* block, std::size_t bytes) {
  void* const result = BootstrapAllocate(bytes);
  if (result == nullptr || block == nullptr || !IsBootstrapBlock(block)) return result;
  const std::size_t before = BootstrapSize(block);
  Copy(result, block, before < bytes ? before : bytes);
  return result;
}

void BootstrapFree(void*) {}

std::size_t BootstrapSize(const void* block) {
  std::size_t bytes = 0;
  Copy(&bytes, static_cast<const char*>(block) - sizeof(bytes), sizeof(bytes));
  return bytes;
}

}  // namespace leaktrace::preload
