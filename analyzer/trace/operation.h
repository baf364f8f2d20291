// The vocabulary of a trace's events (EventBlock of format/trace.capnp), shared by writer and reader.
#pragma once

#include <cstdint>

#include "format/ring.h"

namespace leaktrace::trace {

// What an event does; one byte in the file.
enum class Operation : std::uint8_t {
  kAllocate = 0,
  kFree = 1,
  kReallocate = 2,   // ends one block and begins another, at the same address or not
  kUnknownFree = 3,  // of a pointer that is no live block
  kMap = 4,
  kUnmap = 5,
  kRemap = 6,
  kAdvise = 7,
  kSocket = 8,
  kHeapDestroy = 9,  // the frees of the heap's blocks follow as events of their own
  kOverlap = 10,     // an allocation at the address of a live block follows: that block ended, its free was not seen
  kCount
};

// Has the next allocation number, a kind and a size.
constexpr bool Acquires(Operation operation) {
  return operation == Operation::kAllocate || operation == Operation::kReallocate;
}

// Ends a block.
constexpr bool Releases(Operation operation) {
  return operation == Operation::kFree || operation == Operation::kReallocate || operation == Operation::kOverlap;
}

// Has fields in the column of side records.
constexpr bool HasSideRecord(Operation operation) {
  return operation >= Operation::kUnknownFree && operation <= Operation::kHeapDestroy;
}

// Times of events are multiples of this, in nanoseconds.
inline constexpr std::uint64_t kTimeResolution = 1000;

// Part of a kind; 4 bytes in the file.
struct KindAttributes {
  static constexpr std::uint8_t kJsHeap = 1;      // memory of the JavaScript heap
  static constexpr std::uint8_t kSizeVaries = 2;  // the kind has no size: each event has its own

  format::EntryPoint entry{};
  std::uint8_t allocator = 0;
  format::RequestPhase phase{};
  std::uint8_t flags = 0;

  friend bool operator==(const KindAttributes&, const KindAttributes&) = default;
};
static_assert(sizeof(KindAttributes) == 4);

}  // namespace leaktrace::trace
