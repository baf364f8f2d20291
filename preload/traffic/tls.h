// Follows the TLS records that a client sends on a server's connection, and counts requests as well as can be told from
// outside.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/traffic/frame_reader.h"

namespace leaktrace::preload {

// A request is the first application data after the server sent something. So requests that are pipelined into TLS, or
// multiplexed over HTTP/2 in it, count as one; the agent tells them apart where it is loaded. What belongs to the
// handshake is left out: in TLS 1.3 the client's Finished looks like application data (RFC 8446 sections 5.1, D.4),
// alerts and key updates too, but they are short.
class TlsFollower {
 public:
  unsigned Follow(const unsigned char* data, std::size_t bytes);
  void Send() { answered_ = true; }

 private:
  std::uint32_t EndHeader(const unsigned char* header, unsigned& requests);

  static constexpr unsigned kHeaderBytes = 5;

  FrameReader<kHeaderBytes> records_;
  bool answered_ = false;
  bool cipher_changed_ = false;       // the client's ChangeCipherSpec came ...
  bool handshake_encrypted_ = false;  // ... and a handshake record behind it: TLS 1.2 or older
  bool finished_ = false;             // the client's part of the handshake is over
};

}  // namespace leaktrace::preload
