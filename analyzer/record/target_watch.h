// Notices the target's end, and how it ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace leaktrace::record {

enum class TargetEnd : std::uint16_t {  // as in the trace's footer
  kUnknown = 0,
  kExit = 1,
  kSignal = 2,
  kStopped = 3,  // the library stopped recording and the target goes on
  kExec = 4,
};

struct EndFacts {
  TargetEnd kind = TargetEnd::kUnknown;
  std::int32_t status = 0;  // exit status or signal number
  bool out_of_memory = false;
};

// Not for use by several threads at once.
class TargetWatch {
 public:
  // Begins to watch the process. The error says why it cannot be watched: it is gone, as a rule.
  [[nodiscard]] static absl::StatusOr<TargetWatch> Begin(pid_t pid);
  TargetWatch(TargetWatch&& other) noexcept;
  TargetWatch& operator=(TargetWatch&&) = delete;
  ~TargetWatch();

  // True once all threads of the process have ended.
  [[nodiscard]] bool HasEnded() const;

  // After the end: what the kernel says of it (PIDFD_GET_INFO of Linux 6.15, else /proc/PID/stat while nobody has
  // waited for the process), and whether the OOM killer did it (the counters of its cgroup grew). kUnknown where the
  // kernel does not tell.
  [[nodiscard]] EndFacts End() const;

  // True while the process has the memory of this name mapped, as /proc/PID/maps has it; also when that cannot be read.
  [[nodiscard]] bool Maps(const std::string& name) const;

 private:
  explicit TargetWatch(pid_t pid, int descriptor) : pid_(pid), descriptor_(descriptor) {}

  pid_t pid_;
  int descriptor_;
  std::string events_path_;      // the cgroup's file of memory events, "" = none
  std::uint64_t oom_kills_ = 0;  // in it when the watch began
};

}  // namespace leaktrace::record
