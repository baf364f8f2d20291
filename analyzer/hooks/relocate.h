// Moves the first instructions of a function elsewhere, so that a jump can take their place.
//
// Guarantees: whole instructions only; an instruction that cannot run elsewhere (a call, whose return address would be
// in the moved code) is refused with the reason; operands relative to the instruction pointer and branches get fixups.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "format/hook_map.h"

namespace leaktrace::hooks {

inline constexpr unsigned kJumpBytes = 5;  // jmp rel32

struct Relocation {
  unsigned displaced = 0;  // bytes at the address that the jump replaces
  unsigned relocated = 0;
  std::uint8_t bytes[format::kMaxDisplacedBytes] = {};
  unsigned fixup_count = 0;
  format::HookFixup fixups[format::kMaxFixups] = {};
};

// `code`: the bytes at `address`, at least to the end of the displaced instructions.
absl::StatusOr<Relocation> RelocatePrologue(std::uint64_t address, absl::Span<const std::uint8_t> code);

// Whether a branch within `code`, decoded from its first byte on, goes to an address strictly between `first` and
// `end`.
bool HasBranchInto(std::uint64_t address, absl::Span<const std::uint8_t> code, std::uint64_t first, std::uint64_t end);

}  // namespace leaktrace::hooks
