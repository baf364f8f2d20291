// The session's memory: a memfd with the layout of format/ring.h, mapped whole. Sparse: a page costs memory once it is
// touched.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/ring.h"

namespace leaktrace::preload {

struct SharedMemory {
  format::SessionHeader* header = nullptr;
  std::size_t mapped_bytes = 0;
  std::uint32_t ring_count = 0;  // rings that are mapped; fewer than kMaxThreads when address space is short
  int descriptor = -1;           // of the memfd; -1 once closed

  format::ThreadSlot* Slots() const { return At<format::ThreadSlot>(header->slots_offset); }
  format::UnwindModule* Modules() const { return At<format::UnwindModule>(header->modules_offset); }
  std::uint64_t* Ring(std::uint32_t slot) const {
    return At<std::uint64_t>(header->rings_offset + std::uint64_t{slot} * header->options.ring_bytes);
  }

  template <typename T>
  T* At(std::uint64_t offset) const {
    return reinterpret_cast<T*>(reinterpret_cast<char*>(header) + offset);
  }
};

// Creates and maps the memory and fills the header's layout and options. False: it could not, and has said why on
// standard error.
bool CreateSharedMemory(const format::SessionOptions& options, SharedMemory& memory);

// The recorder has the descriptor by then. A program that closes every descriptor it finds must not meet this one.
void CloseDescriptor(SharedMemory& memory);

void Unmap(SharedMemory& memory);

}  // namespace leaktrace::preload
