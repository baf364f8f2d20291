// A bounded cursor over little-endian bytes that nobody vouches for. A read beyond the end returns 0 and makes ok()
// false for good, so that a parser may read a whole structure and check once.
#pragma once

#include <cstdint>
#include <cstring>

#include "absl/types/span.h"

namespace leaktrace {

class ByteReader {
 public:
  ByteReader() = default;
  explicit ByteReader(absl::Span<const std::uint8_t> bytes)
      : begin_(bytes.data()), next_(begin_), end_(begin_ + bytes.size()) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool empty() const { return next_ == end_; }
  [[nodiscard]] std::size_t position() const { return static_cast<std::size_t>(next_ - begin_); }
  [[nodiscard]] std::size_t remaining() const { return static_cast<std::size_t>(end_ - next_); }

  template <typename T>
  T Fixed() {
    T value{};
    if (remaining() < sizeof(T)) return Fail<T>();
    std::memcpy(&value, next_, sizeof(T));
    next_ += sizeof(T);
    return value;
  }

  // LEB128 of DWARF 5, section 7.6. Bits beyond the 64th are dropped.
  std::uint64_t Uleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      if (next_ == end_) return Fail<std::uint64_t>();
      const std::uint8_t byte = *next_++;
      if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
  }
  std::int64_t Sleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      if (next_ == end_) return Fail<std::int64_t>();
      const std::uint8_t byte = *next_++;
      if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) != 0) continue;
      if (shift + 7 < 64 && (byte & 0x40) != 0) value |= ~0ull << (shift + 7);
      return static_cast<std::int64_t>(value);
    }
  }

  // The next `size` bytes, empty where there are not as many.
  absl::Span<const std::uint8_t> Take(std::uint64_t size) {
    if (size > remaining()) return Fail<absl::Span<const std::uint8_t>>();
    const absl::Span<const std::uint8_t> taken(next_, size);
    next_ += size;
    return taken;
  }

 private:
  template <typename T>
  T Fail() {
    ok_ = false;
    next_ = end_;
    return T{};
  }

  const std::uint8_t* begin_ = nullptr;
  const std::uint8_t* next_ = nullptr;
  const std::uint8_t* end_ = nullptr;
  bool ok_ = true;
};

}  // namespace leaktrace
