// Memory for the library's own use: pieces of pages from the kernel, given back all at once. Never part of what is
// recorded. Not synchronised: an arena belongs to one thread, or to a lock of its owner.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/base/syscall.h"

namespace leaktrace::preload {

class Arena {
 public:
  static constexpr std::size_t kBlockBytes = 64 << 10;

  constexpr Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Zeroed memory, aligned to 16 bytes; null when the kernel gives none.
  void* Allocate(std::size_t bytes) {
    bytes = (bytes + 15) & ~std::size_t{15};
    if (bytes > left_) {
      const std::size_t block = (bytes + sizeof(Block) + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
      void* const pages = MapPages(block);
      if (pages == nullptr) return nullptr;
      blocks_ = new (pages) Block{blocks_, block};
      next_ = reinterpret_cast<std::uintptr_t>(pages) + sizeof(Block);
      left_ = block - sizeof(Block);
    }
    void* const result = reinterpret_cast<void*>(next_);
    next_ += bytes;
    left_ -= bytes;
    return result;
  }

  // Gives everything back.
  void Release() {
    while (blocks_ != nullptr) {
      Block* const block = blocks_;
      blocks_ = block->next;
      UnmapPages(block, block->bytes);
    }
    next_ = 0;
    left_ = 0;
  }

 private:
  struct alignas(16) Block {
    Block* next;
    std::size_t bytes;
    // Placement: the standard's <new> is left out, its inline functions would be weak symbols of the library.
    static void* operator new(std::size_t, void* at) { return at; }
  };

  Block* blocks_ = nullptr;
  std::uintptr_t next_ = 0;
  std::size_t left_ = 0;
};

}  // namespace leaktrace::preload
