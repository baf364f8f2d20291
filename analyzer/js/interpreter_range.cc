#include "analyzer/js/interpreter_range.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace leaktrace::js {
namespace {

constexpr std::uint64_t kLargestGap =
    8192;                                  // between two handlers' jumps; the longest handler of any release is shorter
constexpr std::size_t kFewestJumps = 200;  // LLInt has about 500 opcodes in up to three widths

struct Run {
  std::uint64_t first = 0, last = 0;
  std::size_t jumps = 0;
};

}  // namespace

std::optional<std::pair<std::uint64_t, std::uint64_t>> FindInterpreterRange(absl::Span<const unsigned char> code,
                                                                            std::uint64_t address,
                                                                            absl::Span<const std::uint64_t> known) {
  if (known.empty() || code.size() < 3) return std::nullopt;
  const auto [least, most] = std::minmax_element(known.begin(), known.end());
  auto contains_known = [&](const Run& run) {
    return run.jumps >= kFewestJumps && run.first <= *least + kLargestGap && run.last + kLargestGap >= *most;
  };
  auto widened = [&](const Run& run) {
    return std::make_pair(std::min(run.first, *least), std::max(run.last + 3, *most + 1));
  };
  // One run for each form of the jump (its SIB byte): an opcode table is always indexed through the same registers.
  std::array<Run, 256> runs{};
  const unsigned char* const end = code.data() + code.size() - 2;
  for (const unsigned char* at = code.data(); at < end; ++at) {
    at = static_cast<const unsigned char*>(std::memchr(at, 0xff, end - at));
    if (at == nullptr) break;
    if (at[1] != 0x24 || at[2] < 0xc0) continue;
    Run& run = runs[at[2]];
    const std::uint64_t place = address + (at - code.data());
    if (run.jumps > 0 && place - run.last > kLargestGap) {
      if (contains_known(run)) return widened(run);
      run = Run{};
    }
    if (run.jumps++ == 0) run.first = place;
    run.last = place;
  }
  for (const Run& run : runs) {
    if (contains_known(run)) return widened(run);
  }
  return std::nullopt;
}

}  // namespace leaktrace::js
