#include "analyzer/record/target_watch.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "analyzer/record/proc_file.h"

namespace leaktrace::record {
namespace {

// struct pidfd_info of linux/pidfd.h (6.15); older headers lack it.
struct PidfdInfo {
  std::uint64_t mask, cgroup;
  std::uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t kPidfdInfoExit = 1 << 3;
constexpr unsigned long kPidfdGetInfo = _IOWR(0xff, 11, PidfdInfo);

EndFacts FromWaitStatus(int status) {
  if (WIFSIGNALED(status)) return {TargetEnd::kSignal, WTERMSIG(status), false};
  return {TargetEnd::kExit, WEXITSTATUS(status), false};
}

std::optional<int> WaitStatusOfPidfd(int descriptor) {
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  if (ioctl(descriptor, kPidfdGetInfo, &info) != 0 || (info.mask & kPidfdInfoExit) == 0) return std::nullopt;
  return info.exit_code;
}

// The last field of /proc/PID/stat (proc(5)), of a zombie.
std::optional<int> WaitStatusOfZombie(pid_t pid) {
  const std::string stat = ReadProcFile(absl::StrCat("/proc/", pid, "/stat"));
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || stat.compare(name_end, 3, ") Z") != 0) return std::nullopt;
  const std::vector<std::string> fields = absl::StrSplit(absl::StripTrailingAsciiWhitespace(stat), ' ');
  int status = 0;
  if (!absl::SimpleAtoi(fields.back(), &status)) return std::nullopt;
  return status;
}

// The number behind a word of a file of "word number" lines.
std::optional<std::uint64_t> Counter(const std::string& path, absl::string_view word) {
  const std::string text = ReadProcFile(path);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::uint64_t value = 0;
    if (absl::ConsumePrefix(&line, word) && absl::ConsumePrefix(&line, " ") && absl::SimpleAtoi(line, &value))
      return value;
  }
  return std::nullopt;
}

// The file where the process's memory cgroup counts its OOM kills: version 2, else version 1.
std::string OomEventsPath(pid_t pid) {
  const std::string cgroups = ReadProcFile(absl::StrCat("/proc/", pid, "/cgroup"));
  for (const absl::string_view line : absl::StrSplit(cgroups, '\n')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    std::string path;
    if (parts[1].empty()) {
      path = absl::StrCat("/sys/fs/cgroup", parts[2] == "/" ? "" : parts[2], "/memory.events");
    } else if (parts[1] == "memory") {
      path = absl::StrCat("/sys/fs/cgroup/memory", parts[2] == "/" ? "" : parts[2], "/memory.oom_control");
    } else {
      continue;
    }
    if (Counter(path, "oom_kill").has_value()) return path;
  }
  // In a container the hierarchy's top is the process's own cgroup.
  for (const char* path : {"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}) {
    if (Counter(path, "oom_kill").has_value()) return path;
  }
  // Without a memory cgroup: the system's own count.
  return "/proc/vmstat";
}

}  // namespace

absl::StatusOr<TargetWatch> TargetWatch::Begin(pid_t pid) {
  const auto descriptor = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot watch process ", pid));
  TargetWatch watch(pid, descriptor);
  watch.events_path_ = OomEventsPath(pid);
  watch.oom_kills_ = Counter(watch.events_path_, "oom_kill").value_or(0);
  return watch;
}

TargetWatch::TargetWatch(TargetWatch&& other) noexcept
    : pid_(other.pid_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      events_path_(std::move(other.events_path_)),
      oom_kills_(other.oom_kills_) {}

TargetWatch::~TargetWatch() {
  if (descriptor_ >= 0) close(descriptor_);
}

bool TargetWatch::HasEnded() const {
  pollfd wait{descriptor_, POLLIN, 0};
  return poll(&wait, 1, 0) > 0;
}

EndFacts TargetWatch::End() const {
  // The zombie first: nobody may have waited for it yet, and then only that tells; afterwards only the descriptor does.
  std::optional<int> status = WaitStatusOfPidfd(descriptor_);
  if (!status.has_value()) status = WaitStatusOfZombie(pid_);
  if (!status.has_value()) status = WaitStatusOfPidfd(descriptor_);
  if (!status.has_value()) return {};
  EndFacts facts = FromWaitStatus(*status);
  facts.out_of_memory = facts.kind == TargetEnd::kSignal && facts.status == SIGKILL &&
                        Counter(events_path_, "oom_kill").value_or(0) > oom_kills_;
  return facts;
}

bool TargetWatch::Maps(const std::string& name) const {
  const std::string maps = ReadProcFile(absl::StrCat("/proc/", pid_, "/maps"));
  return maps.empty() || maps.find(name) != std::string::npos;
}

}  // namespace leaktrace::record
