// Encoded pointers of .eh_frame: Linux Standard Base, "DWARF Exception Header Encoding".
#pragma once

#include <cstdint>
#include <optional>

#include "analyzer/base/byte_reader.h"

namespace leaktrace {

inline constexpr std::uint8_t kPointerOmitted = 0xff;
inline constexpr std::uint8_t kPointerFormatMask = 0x0f;
inline constexpr std::uint8_t kPointerBaseMask = 0x70;
inline constexpr std::uint8_t kPointerRelativeToItself = 0x10;
inline constexpr std::uint8_t kPointerRelativeToData = 0x30;
inline constexpr std::uint8_t kPointerIndirect = 0x80;

// The value of the next pointer without its base: sign-extended where the format is signed.
inline std::optional<std::uint64_t> ReadPointerValue(ByteReader& reader, std::uint8_t encoding) {
  switch (encoding & kPointerFormatMask) {
    case 0x00:
    case 0x04:
      return reader.Fixed<std::uint64_t>();
    case 0x01:
      return reader.Uleb();
    case 0x02:
      return reader.Fixed<std::uint16_t>();
    case 0x03:
      return reader.Fixed<std::uint32_t>();
    case 0x09:
      return static_cast<std::uint64_t>(reader.Sleb());
    case 0x0a:
      return static_cast<std::uint64_t>(std::int64_t{reader.Fixed<std::int16_t>()});
    case 0x0b:
      return static_cast<std::uint64_t>(std::int64_t{reader.Fixed<std::int32_t>()});
    case 0x0c:
      return static_cast<std::uint64_t>(reader.Fixed<std::int64_t>());
    default:
      return std::nullopt;
  }
}

// The next pointer. `reader` began at `address`; `data` is what data-relative pointers are relative to. None where the
// encoding is not one that a linker writes for code addresses (indirect, aligned, relative to text or function), or the
// bytes end.
inline std::optional<std::uint64_t> ReadPointer(ByteReader& reader, std::uint8_t encoding, std::uint64_t address,
                                                std::uint64_t data) {
  if (encoding == kPointerOmitted || (encoding & kPointerIndirect) != 0) return std::nullopt;
  const std::uint64_t place = address + reader.position();
  std::uint64_t base = 0;
  switch (encoding & kPointerBaseMask) {
    case 0:
      break;
    case kPointerRelativeToItself:
      base = place;
      break;
    case kPointerRelativeToData:
      base = data;
      break;
    default:
      return std::nullopt;
  }
  const std::optional<std::uint64_t> value = ReadPointerValue(reader, encoding);
  if (!value.has_value() || !reader.ok()) return std::nullopt;
  return base + *value;
}

}  // namespace leaktrace
