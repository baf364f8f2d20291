// Socket calls. They say which connections a server has, when requests come, and what a thread works on: its request
// phase.
//
//   accept -> kAccept; bytes received on a server's connection -> kReceive; bytes sent on one -> kRespond; its close ->
//   kClose; waiting for events -> kIdle.
//
// Only accepted descriptors count, so outgoing connections change nothing.
#include "preload/hook/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "preload/base/attributes.h"
#include "preload/base/syscall.h"
#include "preload/hook/original.h"
#include "preload/record/traffic.h"
#include "preload/session/session.h"
#include "preload/thread/guard.h"
#include "preload/traffic/connections.h"

struct epoll_event;

namespace leaktrace::preload {
namespace {

using format::RequestPhase;
using format::SocketEvent;

using Accept = int (*)(int, sockaddr*, socklen_t*);
using Accept4 = int (*)(int, sockaddr*, socklen_t*, int);
using Read = ssize_t (*)(int, void*, std::size_t);
using Write = ssize_t (*)(int, const void*, std::size_t);
using Vectors = ssize_t (*)(int, const iovec*, int);
using Receive = ssize_t (*)(int, void*, std::size_t, int);
using ReceiveFrom = ssize_t (*)(int, void*, std::size_t, int, sockaddr*, socklen_t*);
using ReceiveMessage = ssize_t (*)(int, msghdr*, int);
using Send = ssize_t (*)(int, const void*, std::size_t, int);
using SendTo = ssize_t (*)(int, const void*, std::size_t, int, const sockaddr*, socklen_t);
using SendMessage = ssize_t (*)(int, const msghdr*, int);
using SendFile = ssize_t (*)(int, int, off_t*, std::size_t);
using Close = int (*)(int);
using Connect = int (*)(int, const sockaddr*, socklen_t);
using EpollWait = int (*)(int, epoll_event*, int, int);
using EpollPwait = int (*)(int, epoll_event*, int, int, const void*);

constinit Original<Accept> original_accept{"accept", nullptr};
constinit Original<Accept4> original_accept4{"accept4", nullptr};
constinit Original<Close> original_close{"close", nullptr};
constinit Original<Connect> original_connect{"connect", nullptr};
constinit Original<Read> original_read{"read", nullptr};
constinit Original<Vectors> original_readv{"readv", nullptr};
constinit Original<Receive> original_recv{"recv", nullptr};
constinit Original<ReceiveFrom> original_recvfrom{"recvfrom", nullptr};
constinit Original<ReceiveMessage> original_recvmsg{"recvmsg", nullptr};
constinit Original<Write> original_write{"write", nullptr};
constinit Original<Vectors> original_writev{"writev", nullptr};
constinit Original<Send> original_send{"send", nullptr};
constinit Original<SendTo> original_sendto{"sendto", nullptr};
constinit Original<SendMessage> original_sendmsg{"sendmsg", nullptr};
constinit Original<SendFile> original_sendfile{"sendfile", nullptr};
constinit Original<EpollWait> original_epoll_wait{"epoll_wait", nullptr};
constinit Original<EpollPwait> original_epoll_pwait{"epoll_pwait", nullptr};

LEAKTRACE_COLD void Note(int descriptor, SocketEvent event, std::uint64_t count) {
  const int saved = errno;
  if (const HookGuard guard; guard.Records()) {
    guard.Write();
    RecordSocket(guard.Thread(), descriptor, event, count);
  }
  errno = saved;
}

LEAKTRACE_COLD void NoteAccepted(int listening, int descriptor) {
  OpenConnection(descriptor);
  thread_state.phase = RequestPhase::kAccept;
  Note(descriptor, SocketEvent::kAccepted, static_cast<std::uint32_t>(listening));
}

LEAKTRACE_COLD void NoteReceived(int descriptor, Connection& connection, const iovec* vectors, std::size_t count,
                                 std::size_t bytes) {
  unsigned requests = 0;
  for (std::size_t i = 0; i < count && bytes > 0; ++i) {
    const std::size_t part = vectors[i].iov_len < bytes ? vectors[i].iov_len : bytes;
    requests += connection.Receive(static_cast<const unsigned char*>(vectors[i].iov_base), part);
    bytes -= part;
  }
  thread_state.phase = RequestPhase::kReceive;
  if (requests > 0) Note(descriptor, SocketEvent::kRequest, requests);
}

LEAKTRACE_HOT ssize_t Received(int descriptor, const iovec* vectors, std::size_t count, ssize_t bytes) {
  if (bytes <= 0) return bytes;
  if (Connection* const connection = FindConnection(descriptor); connection != nullptr) [[unlikely]] {
    NoteReceived(descriptor, *connection, vectors, count, static_cast<std::size_t>(bytes));
  }
  return bytes;
}

LEAKTRACE_HOT ssize_t Received(int descriptor, void* data, ssize_t bytes) {
  const iovec vector{data, static_cast<std::size_t>(bytes)};
  return Received(descriptor, &vector, 1, bytes);
}

// Before the bytes go out: what the thread allocates from here on is for the response.
LEAKTRACE_HOT void Sending(int descriptor) {
  if (Connection* const connection = FindConnection(descriptor); connection != nullptr) [[unlikely]] {
    connection->Send();
    thread_state.phase = RequestPhase::kRespond;
  }
}

bool IsConnectedToClient(int descriptor) {
  int listening = 0, family = 0;
  socklen_t bytes = sizeof(int);
  char peer[sizeof(sockaddr_storage)];
  socklen_t peer_bytes = sizeof peer;
  return !Failed(
             Syscall(SYS_getsockopt, descriptor, SOL_SOCKET, SO_ACCEPTCONN, Argument(&listening), Argument(&bytes))) &&
         listening == 0 &&
         !Failed(Syscall(SYS_getsockopt, descriptor, SOL_SOCKET, SO_DOMAIN, Argument(&family), Argument(&bytes))) &&
         (family == AF_INET || family == AF_INET6) &&
         !Failed(Syscall(SYS_getpeername, descriptor, Argument(peer), Argument(&peer_bytes)));
}

// Connections that another process accepted and passed on, as Node's cluster does.
LEAKTRACE_COLD void NotePassedDescriptors(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      __builtin_memcpy(&descriptor, CMSG_DATA(control) + i * sizeof(int), sizeof descriptor);
      if (IsConnectedToClient(descriptor)) NoteAccepted(-1, descriptor);
    }
  }
}

}  // namespace

void OnWaiting() {
  if (thread_state.phase != RequestPhase::kNone) thread_state.phase = RequestPhase::kIdle;
}

void OnClosing(int descriptor) {
  Connection* const connection = FindConnection(descriptor);
  if (connection == nullptr || !IsSessionsProcess()) return;  // a vfork child tidies up: the connection lives on
  connection->Close();
  thread_state.phase = RequestPhase::kClose;
  Note(descriptor, SocketEvent::kClosed, 0);
}

}  // namespace leaktrace::preload

using namespace leaktrace::preload;  // NOLINT(google-build-using-namespace): the hooks below have C's names

LEAKTRACE_EXPORT int accept(int listening, sockaddr* address, socklen_t* bytes) {
  const int descriptor = original_accept.Get()(listening, address, bytes);
  if (descriptor >= 0) NoteAccepted(listening, descriptor);
  return descriptor;
}

LEAKTRACE_EXPORT int accept4(int listening, sockaddr* address, socklen_t* bytes, int flags) {
  const int descriptor = original_accept4.Get()(listening, address, bytes, flags);
  if (descriptor >= 0) NoteAccepted(listening, descriptor);
  return descriptor;
}

LEAKTRACE_EXPORT int close(int descriptor) {
  OnClosing(descriptor);
  return original_close.Get()(descriptor);
}

// A descriptor that was closed where it could not be seen, and is an outgoing connection now.
LEAKTRACE_EXPORT int connect(int descriptor, const sockaddr* address, socklen_t bytes) {
  if (Connection* const connection = FindConnection(descriptor); connection != nullptr) connection->Close();
  return original_connect.Get()(descriptor, address, bytes);
}

LEAKTRACE_EXPORT ssize_t read(int descriptor, void* data, std::size_t bytes) {
  return Received(descriptor, data, original_read.Get()(descriptor, data, bytes));
}

LEAKTRACE_EXPORT ssize_t readv(int descriptor, const iovec* vectors, int count) {
  return Received(descriptor, vectors, static_cast<std::size_t>(count),
                  original_readv.Get()(descriptor, vectors, count));
}

LEAKTRACE_EXPORT ssize_t recv(int descriptor, void* data, std::size_t bytes, int flags) {
  const ssize_t result = original_recv.Get()(descriptor, data, bytes, flags);
  return (flags & MSG_PEEK) != 0 ? result : Received(descriptor, data, result);
}

LEAKTRACE_EXPORT ssize_t recvfrom(int descriptor, void* data, std::size_t bytes, int flags, sockaddr* address,
                                  socklen_t* address_bytes) {
  const ssize_t result = original_recvfrom.Get()(descriptor, data, bytes, flags, address, address_bytes);
  return (flags & MSG_PEEK) != 0 ? result : Received(descriptor, data, result);
}

LEAKTRACE_EXPORT ssize_t recvmsg(int descriptor, msghdr* message, int flags) {
  const ssize_t result = original_recvmsg.Get()(descriptor, message, flags);
  if (result < 0 || (flags & MSG_PEEK) != 0) return result;
  if (message->msg_controllen > 0) [[unlikely]] {
    NotePassedDescriptors(*message);
  }
  return Received(descriptor, message->msg_iov, message->msg_iovlen, result);
}

LEAKTRACE_EXPORT ssize_t write(int descriptor, const void* data, std::size_t bytes) {
  Sending(descriptor);
  return original_write.Get()(descriptor, data, bytes);
}

LEAKTRACE_EXPORT ssize_t writev(int descriptor, const iovec* vectors, int count) {
  Sending(descriptor);
  return original_writev.Get()(descriptor, vectors, count);
}

LEAKTRACE_EXPORT ssize_t send(int descriptor, const void* data, std::size_t bytes, int flags) {
  Sending(descriptor);
  return original_send.Get()(descriptor, data, bytes, flags);
}

LEAKTRACE_EXPORT ssize_t sendto(int descriptor, const void* data, std::size_t bytes, int flags, const sockaddr* address,
                                socklen_t address_bytes) {
  Sending(descriptor);
  return original_sendto.Get()(descriptor, data, bytes, flags, address, address_bytes);
}

LEAKTRACE_EXPORT ssize_t sendmsg(int descriptor, const msghdr* message, int flags) {
  Sending(descriptor);
  return original_sendmsg.Get()(descriptor, message, flags);
}

LEAKTRACE_EXPORT ssize_t sendfile(int to, int from, off_t* offset, std::size_t bytes) noexcept {
  Sending(to);
  return original_sendfile.Get()(to, from, offset, bytes);
}

// The same on x86-64, where off_t has 64 bits.
LEAKTRACE_EXPORT ssize_t sendfile64(int to, int from, off_t* offset, std::size_t bytes) noexcept {
  Sending(to);
  return original_sendfile.Get()(to, from, offset, bytes);
}

LEAKTRACE_EXPORT int epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
  OnWaiting();
  return original_epoll_wait.Get()(epoll, events, count, timeout);
}

LEAKTRACE_EXPORT int epoll_pwait(int epoll, epoll_event* events, int count, int timeout, const void* mask) {
  OnWaiting();
  return original_epoll_pwait.Get()(epoll, events, count, timeout, mask);
}
