// Numbers as bytes: LEB128 varints and zigzag, written to a growing buffer and read from a bounded one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/types/span.h"

namespace leaktrace::trace {

inline constexpr std::size_t kMaxVarintBytes = 10;

constexpr std::uint64_t ZigZag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t UnZigZag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

// Appends to a buffer that keeps its memory from one use to the next.
class ByteWriter {
 public:
  void Byte(std::uint8_t value) {
    Reserve(1);
    bytes_[size_++] = value;
  }
  void Varint(std::uint64_t value) {
    Reserve(kMaxVarintBytes);
    std::uint8_t* out = bytes_.data() + size_;
    while (value >= 0x80) {
      *out++ = static_cast<std::uint8_t>(value | 0x80);
      value >>= 7;
    }
    *out++ = static_cast<std::uint8_t>(value);
    size_ = static_cast<std::size_t>(out - bytes_.data());
  }
  void Signed(std::int64_t value) { Varint(ZigZag(value)); }

  [[nodiscard]] absl::Span<const std::uint8_t> bytes() const { return {bytes_.data(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  void Clear() { size_ = 0; }

 private:
  void Reserve(std::size_t more) {
    if (bytes_.size() - size_ < more) bytes_.resize(bytes_.size() * 2 + 64);
  }

  std::vector<std::uint8_t> bytes_;
  std::size_t size_ = 0;
};

// Reads from bytes of someone else. What is asked for beyond the end, and a varint of more than 64 bits, yields 0 and
// makes ok() false for good.
class ByteReader {
 public:
  explicit ByteReader(absl::Span<const std::uint8_t> bytes)
      : position_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  std::uint8_t Byte() {
    if (position_ == end_) {
      ok_ = false;
      return 0;
    }
    return *position_++;
  }
  std::uint64_t Varint() {
    if (position_ != end_ && *position_ < 0x80) return *position_++;
    return LongVarint();
  }
  std::int64_t Signed() { return UnZigZag(Varint()); }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool AtEnd() const { return position_ == end_; }
  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - position_); }

 private:
  std::uint64_t LongVarint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (position_ == end_) break;
      const std::uint8_t byte = *position_++;
      if (shift == 63 && byte > 1) break;
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    position_ = end_;
    return 0;
  }

  const std::uint8_t* position_;
  const std::uint8_t* end_;
  bool ok_ = true;
};

}  // namespace leaktrace::trace
