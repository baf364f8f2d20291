// Follows the requests of an HTTP/1 connection in the bytes that a client sends, and counts them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leaktrace::preload {

// Bodies and chunks are passed over, so what is in them is not taken for requests; pipelined requests are counted one
// by one. Source: RFC 9112. Plain data, fixed memory. One thread at a time.
class Http1Follower {
 public:
  // The next bytes of the connection. Returns how many requests' heads are complete with them; `taken` is less than
  // `bytes` where the connection ceases to be HTTP/1: see Upgraded and IsHttp2.
  unsigned Follow(const unsigned char* data, std::size_t bytes, std::size_t& taken);

  // A request asked for WebSocket: what follows is no HTTP.
  [[nodiscard]] bool Upgraded() const { return state_ == State::kUpgraded; }
  // The first line was HTTP/2's preface (RFC 9113 section 3.4).
  [[nodiscard]] bool IsHttp2() const { return state_ == State::kHttp2; }

 private:
  enum class State : std::uint8_t { kRequestLine, kHead, kBody, kChunkSize, kChunkEnd, kTrailer, kUpgraded, kHttp2 };

  bool TakeLine(const unsigned char*& at, const unsigned char* end);
  void EndLine(unsigned& requests);
  void EndHeaderLine();
  void EndHead();
  void EndChunkSize();
  [[nodiscard]] bool StartsWith(const char* lower_case) const;

  static constexpr unsigned kKept = 48;  // of a line: enough for "transfer-encoding: gzip, deflate, chunked"

  State state_ = State::kRequestLine;
  bool chunked_ = false, upgrade_ = false;
  std::uint8_t kept_ = 0;
  char line_[kKept] = {};   // the current line's beginning, in lower case
  std::uint64_t body_ = 0;  // what is left of the body or chunk
};

}  // namespace leaktrace::preload
