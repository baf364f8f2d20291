#include "analyzer/trace/crc32c.h"

#include <nmmintrin.h>

#include <array>
#include <cstring>

namespace leaktrace::trace {
namespace {

constexpr std::array<std::uint32_t, 256> kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}();

__attribute__((target("sse4.2"))) std::uint32_t Crc32cByInstruction(absl::Span<const std::uint8_t> bytes) {
  std::uint64_t crc = 0xffffffffu;
  const std::uint8_t* position = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, position += 8) {
    std::uint64_t word;
    std::memcpy(&word, position, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left) narrow = _mm_crc32_u8(narrow, *position++);
  return ~narrow;
}

}  // namespace

std::uint32_t Crc32cByTable(absl::Span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const std::uint8_t byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ byte) & 0xff];
  return ~crc;
}

std::uint32_t Crc32c(absl::Span<const std::uint8_t> bytes) {
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  return has_instruction ? Crc32cByInstruction(bytes) : Crc32cByTable(bytes);
}

}  // namespace leaktrace::trace
