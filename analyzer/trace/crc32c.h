// CRC-32C (Castagnoli), as RFC 3720 appendix B.4 computes it: reflected polynomial 0x82f63b78, initial value and final
// inversion of all ones.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace leaktrace::trace {

// By SSE4.2's instruction where the processor has it. Any thread may call it.
[[nodiscard]] std::uint32_t Crc32c(absl::Span<const std::uint8_t> bytes);

// By a table; gives the same. Public so that a test can compare the two.
[[nodiscard]] std::uint32_t Crc32cByTable(absl::Span<const std::uint8_t> bytes);

}  // namespace leaktrace::trace
