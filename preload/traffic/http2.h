// Follows the frames of an HTTP/2 connection without TLS in the bytes that a client sends, and counts its requests.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/traffic/frame_reader.h"

namespace leaktrace::preload {

// A HEADERS frame on a new stream is a request; on a known one it holds trailers. Source: RFC 9113
// sections 4.1, 5.1.1, 6.2.
class Http2Follower {
 public:
  // The next bytes, from behind the first line of the preface on.
  unsigned Follow(const unsigned char* data, std::size_t bytes);

 private:
  static constexpr std::uint32_t kPrefaceRest = 8;  // "\r\nSM\r\n\r\n": what follows the preface's first line
  static constexpr unsigned kHeaderBytes = 9;

  FrameReader<kHeaderBytes> frames_{kPrefaceRest};
  std::uint32_t last_stream_ = 0;
};

}  // namespace leaktrace::preload
