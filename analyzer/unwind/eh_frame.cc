#include "analyzer/unwind/eh_frame.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "analyzer/unwind/eh_pointer.h"

namespace leaktrace {
namespace {

constexpr std::uint32_t kExtendedLength = 0xffffffff;

// One entry of the section: its bytes after the length and the id.
struct Entry {
  std::uint64_t id = 0;           // 0 = common entry, else distance back from the id's place to the common entry
  std::uint64_t id_position = 0;  // in the section
  std::uint64_t position = 0;     // of `body` in the section
  absl::Span<const std::uint8_t> body;
};

// The entry that `reader`, which began at the section's start, stands at. None at the terminator, at the end and where
// it is damaged.
std::optional<Entry> ReadEntry(ByteReader& reader, bool& damaged) {
  if (reader.empty()) return std::nullopt;
  std::uint64_t length = reader.Fixed<std::uint32_t>();
  if (length == kExtendedLength) length = reader.Fixed<std::uint64_t>();
  if (length == 0 && reader.ok()) return std::nullopt;
  Entry entry;
  entry.id_position = reader.position();
  const absl::Span<const std::uint8_t> bytes = reader.Take(length);
  if (!reader.ok() || length < 4) {
    damaged = true;
    return std::nullopt;
  }
  entry.id = ByteReader(bytes).Fixed<std::uint32_t>();
  entry.position = entry.id_position + 4;
  entry.body = bytes.subspan(4);
  return entry;
}

std::optional<CommonEntry> ParseCommonEntry(absl::Span<const std::uint8_t> body) {
  ByteReader reader(body);
  const auto version = reader.Fixed<std::uint8_t>();
  if (version != 1 && version != 3) return std::nullopt;
  std::string augmentation;
  while (const char letter = reader.Fixed<char>()) augmentation.push_back(letter);
  CommonEntry common;
  common.code_alignment = reader.Uleb();
  common.data_alignment = reader.Sleb();
  common.return_register = version == 1 ? reader.Fixed<std::uint8_t>() : reader.Uleb();
  if (!augmentation.empty()) {
    if (augmentation[0] != 'z') return std::nullopt;  // without the length, unknown letters cannot be skipped
    common.augmented = true;
    ByteReader data(reader.Take(reader.Uleb()));
    for (std::size_t i = 1; i < augmentation.size(); ++i) {
      switch (augmentation[i]) {
        case 'R':
          common.pointer_encoding = data.Fixed<std::uint8_t>();
          break;
        case 'P': {
          const auto encoding = data.Fixed<std::uint8_t>();
          if (!ReadPointerValue(data, encoding).has_value()) return std::nullopt;
          break;
        }
        case 'L':
          data.Fixed<std::uint8_t>();
          break;
        case 'S':
          common.signal_frame = true;
          break;
        case 'B':
          break;
        default:
          return std::nullopt;
      }
    }
    if (!data.ok()) return std::nullopt;
  }
  if (!reader.ok()) return std::nullopt;
  common.instructions = reader.Take(reader.remaining());
  return common;
}

std::optional<FunctionEntry> ParseFunctionEntry(const Entry& entry, const CommonEntry& common,
                                                std::uint64_t section_address) {
  ByteReader reader(entry.body);
  const std::uint64_t address = section_address + entry.position;
  const std::optional<std::uint64_t> begin = ReadPointer(reader, common.pointer_encoding, address, 0);
  const std::optional<std::uint64_t> size = ReadPointerValue(reader, common.pointer_encoding & kPointerFormatMask);
  if (!begin.has_value() || !size.has_value()) return std::nullopt;
  if (common.augmented) reader.Take(reader.Uleb());
  if (!reader.ok() || *size == 0 || *begin + *size < *begin) return std::nullopt;
  const std::uint64_t instructions_address = address + reader.position();
  return FunctionEntry{.begin = *begin,
                       .end = *begin + *size,
                       .common = 0,
                       .instructions_address = instructions_address,
                       .instructions = reader.Take(reader.remaining())};
}

}  // namespace

EhFrame ParseEhFrame(absl::Span<const std::uint8_t> section, std::uint64_t address, std::uint64_t limit) {
  EhFrame result;
  ByteReader reader(section);
  constexpr std::uint32_t kUnusable = ~0u;
  absl::flat_hash_map<std::uint64_t, std::uint32_t> common_at;  // by position of its length field
  std::uint64_t last_position = ~0ull;
  std::uint32_t last_index = kUnusable;
  while (result.functions.size() < limit) {
    const std::uint64_t start = reader.position();
    const std::optional<Entry> entry = ReadEntry(reader, result.damaged);
    if (!entry.has_value()) break;
    if (entry->id == 0) {
      std::optional<CommonEntry> common = ParseCommonEntry(entry->body);
      common_at[start] = common.has_value() ? static_cast<std::uint32_t>(result.common.size()) : kUnusable;
      if (common.has_value()) result.common.push_back(*common);
      continue;
    }
    const std::uint64_t common_position = entry->id_position - entry->id;
    if (common_position != last_position) {
      const auto found = common_at.find(common_position);
      last_position = common_position;
      last_index = found == common_at.end() ? kUnusable : found->second;
    }
    if (last_index == kUnusable) continue;
    std::optional<FunctionEntry> function = ParseFunctionEntry(*entry, result.common[last_index], address);
    if (!function.has_value()) continue;
    function->common = last_index;
    result.functions.push_back(*function);
  }
  const auto by_begin = [](const FunctionEntry& a, const FunctionEntry& b) { return a.begin < b.begin; };
  if (!std::is_sorted(result.functions.begin(), result.functions.end(), by_begin)) {
    std::stable_sort(result.functions.begin(), result.functions.end(), by_begin);
  }
  return result;
}

EhFrameHeader ParseEhFrameHeader(absl::Span<const std::uint8_t> header, std::uint64_t address) {
  EhFrameHeader result;
  ByteReader reader(header);
  const auto version = reader.Fixed<std::uint8_t>();
  const auto frame_encoding = reader.Fixed<std::uint8_t>();
  const auto count_encoding = reader.Fixed<std::uint8_t>();
  reader.Fixed<std::uint8_t>();  // encoding of the search table
  if (!reader.ok() || version != 1) return result;
  const std::optional<std::uint64_t> eh_frame = ReadPointer(reader, frame_encoding, address, address);
  if (!eh_frame.has_value()) return result;
  result.eh_frame = *eh_frame;
  result.functions = ReadPointer(reader, count_encoding, address, address).value_or(0);
  return result;
}

}  // namespace leaktrace
