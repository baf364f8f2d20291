#include "preload/patch/code_area.h"

#include "preload/base/memory.h"
#include "preload/base/syscall.h"

namespace leaktrace::preload {
namespace {

constexpr std::uintptr_t kPage = 4096, kStep = 1 << 20, kReach = 0x7f00'0000;
constexpr long kRead = 1, kWrite = 2, kExecute = 4;
constexpr long kPrivateAnonymousNoReplace = 0x100022;  // MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE

std::uint8_t* MapAt(std::uintptr_t address, std::size_t bytes) {
  const long result = Syscall(SYS_mmap, static_cast<long>(address), static_cast<long>(bytes), kRead | kWrite,
                              kPrivateAnonymousNoReplace, -1, 0);
  if (Failed(result)) return nullptr;
  // Kernels before 4.17 do not know MAP_FIXED_NOREPLACE and take the address as a hint.
  if (static_cast<std::uintptr_t>(result) != address) {
    UnmapPages(reinterpret_cast<void*>(result), bytes);
    return nullptr;
  }
  return reinterpret_cast<std::uint8_t*>(result);
}

bool Protect(std::uintptr_t begin, std::uintptr_t end, long protection) {
  return !Failed(Syscall(SYS_mprotect, static_cast<long>(begin), static_cast<long>(end - begin), protection));
}

}  // namespace

bool CodeArea::Map(std::uintptr_t low, std::uintptr_t high, std::size_t bytes) {
  bytes_ = (bytes + kPage - 1) & ~(kPage - 1);
  low &= ~(kPage - 1);
  high = (high + kPage - 1) & ~(kPage - 1);
  // Below the executable first: above it lies the heap that brk extends.
  for (std::uintptr_t distance = bytes_ + kPage; distance < low && high - (low - distance) < kReach;
       distance += kStep) {
    if ((begin_ = MapAt(low - distance, bytes_)) != nullptr) return true;
  }
  for (std::uintptr_t place = high + kStep; place + bytes_ - low < kReach; place += kStep) {
    if ((begin_ = MapAt(place, bytes_)) != nullptr) return true;
  }
  return false;
}

bool CodeArea::Seal() {
  const auto begin = reinterpret_cast<std::uintptr_t>(begin_);
  return Protect(begin, begin + bytes_, kRead | kExecute);
}

void CodeArea::Unmap() {
  if (begin_ != nullptr) UnmapPages(begin_, bytes_);
  begin_ = nullptr;
}

bool WriteCode(std::uint8_t* at, const std::uint8_t* bytes, std::size_t count) {
  const auto begin = reinterpret_cast<std::uintptr_t>(at) & ~(kPage - 1);
  const auto end = (reinterpret_cast<std::uintptr_t>(at) + count + kPage - 1) & ~(kPage - 1);
  if (!Protect(begin, end, kRead | kWrite)) return false;
  Copy(at, bytes, count);
  return Protect(begin, end, kRead | kExecute);
}

}  // namespace leaktrace::preload
