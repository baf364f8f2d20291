// Splits a stream into frames of a header of fixed size and a payload that is passed over, wherever the pieces that
// come in are cut.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leaktrace::preload {

// Plain data, fixed memory. One thread at a time.
template <unsigned kHeaderBytes>
class FrameReader {
 public:
  constexpr FrameReader() = default;
  // `skip` bytes come before the first header.
  constexpr explicit FrameReader(std::uint32_t skip) : skip_(skip) {}

  // Takes all bytes; calls `end_header(const unsigned char* header)` for each header that is complete, which returns
  // how many bytes its payload has.
  template <typename EndHeader>
  void Read(const unsigned char* data, std::size_t bytes, EndHeader end_header) {
    for (std::size_t i = 0; i < bytes;) {
      if (skip_ > 0) {
        const std::size_t skipped = skip_ < bytes - i ? skip_ : bytes - i;
        skip_ -= static_cast<std::uint32_t>(skipped);
        i += skipped;
        continue;
      }
      header_[kept_++] = data[i++];
      if (kept_ < kHeaderBytes) continue;
      kept_ = 0;
      skip_ = end_header(header_);
    }
  }

 private:
  std::uint32_t skip_ = 0;  // what is left of the payload
  std::uint8_t kept_ = 0;
  unsigned char header_[kHeaderBytes] = {};
};

}  // namespace leaktrace::preload
