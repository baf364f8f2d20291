#include "preload/traffic/tls.h"

namespace leaktrace::preload {
namespace {

enum ContentType : std::uint8_t { kChangeCipherSpec = 20, kAlert = 21, kHandshake = 22, kApplicationData = 23 };

// An alert of TLS 1.3 is 2 bytes, a key update 5, each with a type byte and a tag of 16 bytes; no request is as short.
constexpr std::uint32_t kLongestControl = 22;

}  // namespace

std::uint32_t TlsFollower::EndHeader(const unsigned char* header, unsigned& requests) {
  const std::uint32_t payload = static_cast<std::uint32_t>(header[3]) << 8 | header[4];
  switch (header[0]) {
    case kChangeCipherSpec:
      cipher_changed_ = true;
      break;
    case kHandshake:
      handshake_encrypted_ = cipher_changed_;
      break;
    case kApplicationData:
      if (!finished_ && !handshake_encrypted_) {
        finished_ = true;
        break;
      }
      finished_ = true;
      if (!answered_ || payload <= kLongestControl) break;
      answered_ = false;
      ++requests;
      break;
    default:
      break;
  }
  return payload;
}

unsigned TlsFollower::Follow(const unsigned char* data, std::size_t bytes) {
  unsigned requests = 0;
  records_.Read(data, bytes, [&](const unsigned char* header) { return EndHeader(header, requests); });
  return requests;
}

}  // namespace leaktrace::preload
