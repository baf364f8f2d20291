#include "preload/traffic/http1.h"

namespace leaktrace::preload {
namespace {

char Lower(unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool Http1Follower::StartsWith(const char* lower_case) const {
  for (unsigned i = 0; lower_case[i] != '\0'; ++i) {
    if (i >= kept_ || line_[i] != lower_case[i]) return false;
  }
  return true;
}

// Takes bytes up to and with the next line feed, which true means was there.
bool Http1Follower::TakeLine(const unsigned char*& at, const unsigned char* end) {
  while (at < end) {
    const unsigned char c = *at++;
    if (c == '\n') return true;
    if (c != '\r' && kept_ < kKept) line_[kept_++] = Lower(c);
  }
  return false;
}

void Http1Follower::EndHeaderLine() {
  constexpr unsigned kContentLength = 15, kTransferEncoding = 18;
  if (StartsWith("content-length:")) {
    body_ = 0;
    for (unsigned i = kContentLength; i < kept_; ++i) {
      if (line_[i] >= '0' && line_[i] <= '9') body_ = body_ * 10 + static_cast<unsigned>(line_[i] - '0');
    }
  } else if (StartsWith("transfer-encoding:")) {
    constexpr char kChunked[] = "chunked";
    for (unsigned i = kTransferEncoding; i + sizeof kChunked - 1 <= kept_; ++i) {
      if (__builtin_memcmp(line_ + i, kChunked, sizeof kChunked - 1) == 0) chunked_ = true;
    }
  } else if (StartsWith("upgrade: websocket") || StartsWith("upgrade:websocket")) {
    upgrade_ = true;
  }
}

void Http1Follower::EndHead() {
  if (upgrade_) {
    state_ = State::kUpgraded;
  } else if (chunked_) {
    state_ = State::kChunkSize;
  } else {
    state_ = body_ > 0 ? State::kBody : State::kRequestLine;
  }
  chunked_ = upgrade_ = false;
}

void Http1Follower::EndChunkSize() {
  body_ = 0;
  for (unsigned i = 0; i < kept_ && HexDigit(line_[i]) >= 0; ++i)
    body_ = body_ * 16 + static_cast<unsigned>(HexDigit(line_[i]));
  state_ = body_ == 0 ? State::kTrailer : State::kBody;
  if (body_ > 0) chunked_ = true;  // a chunk's data is followed by the next size, not by a request
}

void Http1Follower::EndLine(unsigned& requests) {
  const bool empty = kept_ == 0;
  switch (state_) {
    case State::kRequestLine:
      // Empty lines before a request are to be passed over (RFC 9112 section 2.2).
      if (StartsWith("pri * http/2.0")) {
        state_ = State::kHttp2;
      } else if (!empty) {
        state_ = State::kHead;
        body_ = 0;
      }
      break;
    case State::kHead:
      if (empty) {
        ++requests;
        EndHead();
      } else {
        EndHeaderLine();
      }
      break;
    case State::kChunkSize:
      EndChunkSize();
      break;
    case State::kChunkEnd:
      chunked_ = false;
      state_ = State::kChunkSize;
      break;
    case State::kTrailer:
      if (empty) state_ = State::kRequestLine;
      break;
    case State::kBody:
    case State::kUpgraded:
    case State::kHttp2:
      break;
  }
  kept_ = 0;
}

unsigned Http1Follower::Follow(const unsigned char* data, std::size_t bytes, std::size_t& taken) {
  const unsigned char* at = data;
  const unsigned char* const end = data + bytes;
  unsigned requests = 0;
  while (at < end && !Upgraded() && !IsHttp2()) {
    if (state_ == State::kBody) {
      const auto left = static_cast<std::size_t>(end - at);
      const std::size_t skipped = body_ < left ? static_cast<std::size_t>(body_) : left;
      at += skipped;
      body_ -= skipped;
      if (body_ == 0) state_ = chunked_ ? State::kChunkEnd : State::kRequestLine;
    } else if (TakeLine(at, end)) {
      EndLine(requests);
    }
  }
  taken = static_cast<std::size_t>(at - data);
  return requests;
}

}  // namespace leaktrace::preload
