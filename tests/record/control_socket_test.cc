#include "analyzer/base/control_socket.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace leaktrace {
namespace {

// A recorder of this very process, until the object ends.
class Recorder {
 public:
  explicit Recorder(ControlSocket socket) : socket_(std::move(socket)), thread_([this] { Serve(); }) {}
  ~Recorder() {
    stop_ = true;
    thread_.join();
  }

 private:
  void Serve() {
    while (!stop_) {
      while (const auto request = socket_.Poll()) socket_.Answer(*request, "heard: " + request->line + "\n");
      std::this_thread::yield();
    }
  }
  ControlSocket socket_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(ControlSocket, ARequestIsAnswered) {
  auto socket = ControlSocket::Open(getpid());
  ASSERT_TRUE(socket.ok()) << socket.status();
  const Recorder recorder(*std::move(socket));
  const auto answer = AskRecorder(getpid(), "list");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, "heard: list\n");
  EXPECT_TRUE(MarkPhase(getpid(), "load").ok());
}

TEST(ControlSocket, OneRecorderForAProcess) {
  const auto first = ControlSocket::Open(getpid());
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(ControlSocket::Open(getpid()).ok());
}

TEST(ControlSocket, WhereNobodyRecordsTheMessageSaysWhatToDo) {
  const absl::Status status = MarkPhase(getpid(), "load");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("leaktrace run"), absl::string_view::npos) << status;
}

TEST(ControlSocket, NamesThatAreNoneAreRefused) {
  for (const std::string& name : {std::string(), std::string("two\nlines"), std::string(kLongestMarkName + 1, 'x')}) {
    EXPECT_EQ(MarkPhase(getpid(), name).code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

}  // namespace
}  // namespace leaktrace
