#include "analyzer/base/control_socket.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace leaktrace {
namespace {

constexpr std::size_t kLongestRequest = kLongestMarkName + 16;
constexpr std::size_t kMostConnections = 16;

struct Address {
  sockaddr_un data{};
  socklen_t bytes = 0;
};

Address AddressOf(pid_t target) {
  Address address;
  address.data.sun_family = AF_UNIX;
  const std::string name = absl::StrCat("leaktrace.", target);
  std::memcpy(address.data.sun_path + 1, name.data(), name.size());  // a first byte of 0: the abstract namespace
  address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

bool IsOfThisUser(int descriptor) {
  ucred peer{};
  socklen_t bytes = sizeof peer;
  return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
         (peer.uid == geteuid() || peer.uid == 0);
}

absl::Status SystemError(const char* what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// Waits until the descriptor is ready for `events`.
bool Await(int descriptor, short events, absl::Time deadline) {
  pollfd entry{descriptor, events, 0};
  const auto left = absl::ToInt64Milliseconds(deadline - absl::Now());
  return left > 0 && poll(&entry, 1, static_cast<int>(left)) == 1;
}

}  // namespace

absl::StatusOr<ControlSocket> ControlSocket::Open(pid_t target) {
  ControlSocket control(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (control.listening_ < 0) return SystemError("socket");
  const Address address = AddressOf(target);
  if (bind(control.listening_, reinterpret_cast<const sockaddr*>(&address.data), address.bytes) != 0)
    return SystemError("bind");
  if (listen(control.listening_, kMostConnections) != 0) return SystemError("listen");
  return control;
}

ControlSocket::ControlSocket(ControlSocket&& other) noexcept
    : listening_(std::exchange(other.listening_, -1)), connections_(std::exchange(other.connections_, {})) {}

ControlSocket& ControlSocket::operator=(ControlSocket&& other) noexcept {
  std::swap(listening_, other.listening_);
  std::swap(connections_, other.connections_);
  return *this;
}

ControlSocket::~ControlSocket() {
  for (const Connection& connection : connections_) close(connection.descriptor);
  if (listening_ >= 0) close(listening_);
}

void ControlSocket::Accept() {
  while (true) {
    const int descriptor = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0) return;
    if (connections_.size() < kMostConnections && IsOfThisUser(descriptor)) {
      connections_.push_back({descriptor, "", absl::Now() + absl::Seconds(2)});
    } else {
      close(descriptor);
    }
  }
}

std::optional<ControlSocket::Request> ControlSocket::Poll() {
  Accept();
  for (auto connection = connections_.begin(); connection != connections_.end();) {
    char part[kLongestRequest];
    const ssize_t bytes = recv(connection->descriptor, part, sizeof part, MSG_DONTWAIT);
    if (bytes > 0) connection->received.append(part, static_cast<std::size_t>(bytes));
    const std::size_t end = connection->received.find('\n');
    if (end != std::string::npos) {
      Request request{connection->descriptor, connection->received.substr(0, end)};
      connections_.erase(connection);
      return request;
    }
    const bool waiting = bytes > 0 || (bytes < 0 && (errno == EAGAIN || errno == EINTR));
    if (!waiting || connection->received.size() > kLongestRequest || absl::Now() > connection->deadline) {
      close(connection->descriptor);
      connection = connections_.erase(connection);
    } else {
      ++connection;
    }
  }
  return std::nullopt;
}

void ControlSocket::Answer(const Request& request, const std::string& text) {
  // An answer fits into the socket's buffer; a client that does not read it loses it.
  (void)!send(request.connection, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  close(request.connection);
}

absl::StatusOr<std::string> AskRecorder(pid_t target, const std::string& line, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return SystemError("socket");
  struct Closer {
    int descriptor;
    ~Closer() { close(descriptor); }
  } closer{descriptor};
  const Address address = AddressOf(target);
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address.data), address.bytes) != 0) {
    return absl::NotFoundError(absl::StrCat(
        "process ", target, " is not being recorded: start it with `leaktrace run`, or with LD_PRELOAD set"));
  }
  const std::string request = line + "\n";
  if (send(descriptor, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return SystemError("send");
  std::string answer;
  while (Await(descriptor, POLLIN, deadline)) {
    char part[4096];
    const ssize_t bytes = recv(descriptor, part, sizeof part, 0);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return SystemError("recv");
    if (bytes == 0) {
      if (answer.empty())
        return absl::PermissionDeniedError(
            absl::StrCat("the recorder of process ", target, " did not answer: is it another user's?"));
      return answer;
    }
    answer.append(part, static_cast<std::size_t>(bytes));
  }
  return absl::DeadlineExceededError(
      absl::StrCat("the recorder of process ", target, " did not answer within ", absl::FormatDuration(timeout)));
}

absl::Status MarkPhase(pid_t target, const std::string& name) {
  if (name.empty() || name.size() > kLongestMarkName || name.find('\n') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("a phase's name has 1 to ", kLongestMarkName, " bytes on one line"));
  }
  return AskRecorder(target, "mark " + name).status();
}

}  // namespace leaktrace
