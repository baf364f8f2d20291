#include "analyzer/hooks/function_finder.h"

#include <algorithm>

namespace leaktrace::hooks {
namespace {

constexpr std::uint64_t kMaxFunction = 64 << 10;
constexpr std::uint64_t kAlignment = 16;
constexpr std::uint8_t kInt3 = 0xcc, kReturn = 0xc3;

}  // namespace

// Padding of int3 that follows the end of a function; only linkers and compilers for such padding put it between
// functions, never inside.
bool FunctionFinder::FollowsPadding(std::uint64_t address) const {
  if (address % kAlignment != 0) return false;
  const auto before = image_.Code(address - kAlignment, kAlignment);
  return before.size() == kAlignment && before[kAlignment - 1] == kInt3;
}

// Whether the instruction before `address` may be one that does not go on: ret, jmp, ud2, int3 or padding.
bool FunctionFinder::FollowsEnd(std::uint64_t address) const {
  const auto before = image_.Code(address - 10, 10);
  if (before.size() < 10) return address == image_.text().address;
  const auto back = [&](std::size_t n) { return before[10 - n]; };
  return back(1) == kReturn || back(1) == kInt3 || back(1) == 0x90 || back(5) == 0xe9 || back(2) == 0xeb ||
         back(5) == 0xe8 || (back(2) == 0x0f && back(1) == 0x0b) ||
         (back(1) == 0x00 && (back(3) == 0x1f || back(4) == 0x1f || back(5) == 0x1f || back(6) == 0x1f ||
                              back(7) == 0x1f || back(8) == 0x1f));
}

// Whether an aligned function may begin here that keeps a frame pointer: push %rbp; mov %rsp, %rbp.
bool FunctionFinder::SetsUpFrame(std::uint64_t address) const {
  constexpr std::uint8_t kPrologue[] = {0x55, 0x48, 0x89, 0xe5};
  const auto code = image_.Code(address, sizeof kPrologue);
  return address % kAlignment == 0 && std::equal(code.begin(), code.end(), std::begin(kPrologue), std::end(kPrologue));
}

bool FunctionFinder::IsStart(std::uint64_t address) const {
  const auto& described = image_.described_starts();
  if (!described.empty()) return std::binary_search(described.begin(), described.end(), address);
  if (FollowsPadding(address)) return true;
  if (!scan_.IsCallTarget(address) && !(scan_.IsJumpTarget(address) && SetsUpFrame(address))) return false;
  return FollowsEnd(address);
}

std::optional<Extent> FunctionFinder::Containing(std::uint64_t address) const {
  const Region& text = image_.text();
  if (!text.Holds(address)) return std::nullopt;
  const auto& described = image_.described_starts();
  if (!described.empty()) {
    const auto next = std::upper_bound(described.begin(), described.end(), address);
    if (next == described.begin()) return std::nullopt;
    return Extent{*(next - 1), next == described.end() ? text.end() : std::min(*next, text.end())};
  }
  std::uint64_t begin = address;
  const std::uint64_t lowest = address - std::min(kMaxFunction, address - text.address);
  while (begin > lowest && !IsStart(begin)) --begin;
  if (!IsStart(begin) && begin != text.address) return std::nullopt;
  std::uint64_t end = address + 1;
  const std::uint64_t highest = std::min(text.end(), begin + kMaxFunction);
  while (end < highest && !IsStart(end)) ++end;
  return Extent{begin, end};
}

}  // namespace leaktrace::hooks
