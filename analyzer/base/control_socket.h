// The recorder's ear: a socket by which other processes of the same user mark run phases in a trace that is being
// recorded.
//
// The socket is in the abstract namespace (unix(7)), named after the target's process id: it needs no file, and is gone
// with the recorder. A request is one line, an answer some lines, then the connection ends:
//   mark NAME        -> "ok"
//   list             -> "SECONDS NAME" for each mark so far
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace leaktrace {

inline constexpr std::size_t kLongestMarkName = 200;

// The recorder's side. One thread; no call waits.
class ControlSocket {
 public:
  // Errors: the name is taken (another recorder of this target), or sockets are not to be had. A recorder does without
  // then.
  static absl::StatusOr<ControlSocket> Open(pid_t target);
  ControlSocket(ControlSocket&& other) noexcept;
  ControlSocket& operator=(ControlSocket&& other) noexcept;
  ~ControlSocket();

  struct Request {
    int connection = -1;  // for Answer, which must follow
    std::string line;
  };
  // The next request that has arrived whole, if there is one. Connections of other users are refused; what does not
  // send its line within two seconds is dropped.
  std::optional<Request> Poll();
  void Answer(const Request& request, const std::string& text);

 private:
  struct Connection {
    int descriptor;
    std::string received;
    absl::Time deadline;
  };
  explicit ControlSocket(int listening) : listening_(listening) {}
  void Accept();

  int listening_ = -1;
  std::vector<Connection> connections_;
};

// The other side: sends one line to the recorder of `target` and returns its answer. Errors: NotFound (no recorder of
// that process), DeadlineExceeded, PermissionDenied (another user's).
absl::StatusOr<std::string> AskRecorder(pid_t target, const std::string& line,
                                        absl::Duration timeout = absl::Seconds(5));

// Begins the run phase `name` in the trace of `target`. InvalidArgument: a name must not be empty, longer than
// kLongestMarkName or hold a line end.
absl::Status MarkPhase(pid_t target, const std::string& name);

}  // namespace leaktrace
