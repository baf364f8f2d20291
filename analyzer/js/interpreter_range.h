// Where JavaScriptCore's interpreter (LLInt) lies in an executable's code. Its handlers end in an indirect jump through
// the opcode table
// (`jmp *(%rsi,%rax,8)`, bytes FF 24 C6 and the like), so it is the one dense run of such jumps.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/types/span.h"

namespace leaktrace::js {

// `code` is the text section, `address` where it lies. Returns the run of table jumps that contains every one of
// `known` (addresses that are known to be in the interpreter), widened to them by at most 8 KiB; nothing where there is
// no such run.
std::optional<std::pair<std::uint64_t, std::uint64_t>> FindInterpreterRange(absl::Span<const unsigned char> code,
                                                                            std::uint64_t address,
                                                                            absl::Span<const std::uint64_t> known);

}  // namespace leaktrace::js
