#include "preload/traffic/http2.h"

namespace leaktrace::preload {

unsigned Http2Follower::Follow(const unsigned char* data, std::size_t bytes) {
  constexpr std::uint8_t kHeaders = 1;
  unsigned requests = 0;
  frames_.Read(data, bytes, [&](const unsigned char* header) {
    const std::uint32_t stream = (static_cast<std::uint32_t>(header[5] & 0x7f) << 24) |
                                 static_cast<std::uint32_t>(header[6]) << 16 |
                                 static_cast<std::uint32_t>(header[7]) << 8 | header[8];
    if (header[3] == kHeaders && stream > last_stream_) {
      last_stream_ = stream;
      ++requests;
    }
    return static_cast<std::uint32_t>(header[0]) << 16 | static_cast<std::uint32_t>(header[1]) << 8 | header[2];
  });
  return requests;
}

}  // namespace leaktrace::preload
