#include "preload/traffic/tls.h"

namespace leaktrace::preload {
namespace {

enum ContentType : std::uint8_t { kChangeCipherSpec = 20, kAlert = 21, kHandshake = 22, kApplicationData = 23 };

// An alert of TLS 1.3 is 2 bytes, a key update 5, each with a type byte and a tag of 16 bytes; no request is as short.
constexpr std::uint32_t kLongestControl = 22;

}  // namespace

void TlsFollower::EndHeader(unsigned& requests) {
  skip_ = static_cast<std::uint32_t>(header_[3]) << 8 | header_[4];
  switch (header_[0]) {
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
      if (!answered_ || skip_ <= kLongestControl) break;
      answered_ = false;
      ++requests;
      break;
    default:
      break;
  }
}

unsigned TlsFollower::Follow(const unsigned char* data, std::size_t bytes) {
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
    EndHeader(requests);
  }
  return requests;
}

}  // namespace leaktrace::preload
