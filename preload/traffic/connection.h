// A server's connection: what its bytes say about requests. Bytes are looked at, never kept.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/traffic/http1.h"
#include "preload/traffic/http2.h"
#include "preload/traffic/tls.h"

namespace leaktrace::preload {

// Plain data that is valid when zeroed: a descriptor that was never accepted. A connection is read and written by one
// thread at a time, as its descriptor is.
class Connection {
 public:
  void Accept() {
    *this = Connection{};
    protocol_ = Protocol::kFresh;
  }
  void Close() { protocol_ = Protocol::kNone; }
  [[nodiscard]] bool IsOpen() const { return protocol_ != Protocol::kNone; }

  // Bytes came in. Returns how many requests they complete, or begin where the protocol hides its messages.
  unsigned Receive(const unsigned char* data, std::size_t bytes);
  // Bytes went out.
  void Send();

 private:
  enum class Protocol : std::uint8_t {
    kNone = 0,
    kFresh,  // nothing came yet
    kHttp1,
    kHttp2,
    kTls,
    kUpgraded,  // no requests any more
    kUnknown,   // what comes first after something was sent counts as a request
  };

  Protocol protocol_ = Protocol::kNone;
  bool answered_ = true;  // kUnknown
  union {
    Http1Follower http1_;
    Http2Follower http2_;
    TlsFollower tls_;
  };

 public:
  constexpr Connection() : http1_() {}
};

}  // namespace leaktrace::preload
