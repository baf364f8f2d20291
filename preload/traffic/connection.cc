#include "preload/traffic/connection.h"

namespace leaktrace::preload {
namespace {

constexpr unsigned char kTlsHandshake = 0x16;

// A request line begins with a method: letters, in practice capital ones (RFC 9110 section 9).
bool MayBeHttp(unsigned char first) { return (first >= 'A' && first <= 'Z') || first == '\r' || first == '\n'; }

}  // namespace

unsigned Connection::Receive(const unsigned char* data, std::size_t bytes) {
  if (bytes == 0) return 0;
  if (protocol_ == Protocol::kFresh) {
    if (data[0] == kTlsHandshake) {
      protocol_ = Protocol::kTls;
      tls_ = TlsFollower{};
    } else {
      protocol_ = MayBeHttp(data[0]) ? Protocol::kHttp1 : Protocol::kUnknown;
    }
  }
  switch (protocol_) {
    case Protocol::kHttp1: {
      std::size_t taken = 0;
      const unsigned requests = http1_.Follow(data, bytes, taken);
      if (http1_.Upgraded()) {
        protocol_ = Protocol::kUpgraded;
      } else if (http1_.IsHttp2()) {
        protocol_ = Protocol::kHttp2;
        http2_ = Http2Follower{};
        return requests + http2_.Follow(data + taken, bytes - taken);
      }
      return requests;
    }
    case Protocol::kHttp2:
      return http2_.Follow(data, bytes);
    case Protocol::kTls:
      return tls_.Follow(data, bytes);
    case Protocol::kUnknown:
      if (!answered_) return 0;
      answered_ = false;
      return 1;
    case Protocol::kNone:
    case Protocol::kFresh:
    case Protocol::kUpgraded:
      return 0;
  }
  return 0;
}

void Connection::Send() {
  answered_ = true;
  if (protocol_ == Protocol::kTls) tls_.Send();
}

}  // namespace leaktrace::preload
