#include "preload/traffic/http2.h"

namespace leaktrace::preload {

unsigned Http2Follower::Follow(const unsigned char* data, std::size_t bytes) {
  constexpr std::uint8_t kHeaders = 1;
  unsigned requests = 0;
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
    skip_ = static_cast<std::uint32_t>(header_[0]) << 16 | static_cast<std::uint32_t>(header_[1]) << 8 | header_[2];
    const std::uint32_t stream = (static_cast<std::uint32_t>(header_[5] & 0x7f) << 24) |
                                 static_cast<std::uint32_t>(header_[6]) << 16 |
                                 static_cast<std::uint32_t>(header_[7]) << 8 | header_[8];
    if (header_[3] == kHeaders && stream > last_stream_) {
      last_stream_ = stream;
      ++requests;
    }
  }
  return requests;
}

}  // namespace leaktrace::preload
