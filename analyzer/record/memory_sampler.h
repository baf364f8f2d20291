// How much memory the target has resident, by kind of mapping.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace leaktrace::record {

struct MemoryCategory {
  std::uint64_t rss = 0, pss = 0, virtual_size = 0, anonymous = 0;  // bytes
};

struct MemorySample {
  std::uint64_t rss = 0;
  std::uint64_t pss = 0;  // 0 where the categories were left out
  // By name: "heap" (brk), "stack" (of the main thread), "anonymous" (private, without a file), "javascript heap"
  // (where the runtime names its mappings), "file" (of executables, libraries and others), "shared" (memory),
  // "leaktrace" (the session and the tracer's own), "kernel".
  std::map<std::string, MemoryCategory> categories;
};

// Parses /proc/PID/smaps (proc(5)).
[[nodiscard]] MemorySample ParseSmaps(std::string_view smaps);

// Samples with the categories are costly for large processes: the kernel walks the page tables under the lock that the
// target's own mmap needs. So they are taken as often as keeps that below one part in fifty of the time, and the
// others have the total alone.
class MemorySampler {
 public:
  explicit MemorySampler(pid_t pid) : pid_(pid) {}

  // A sample as of now (CLOCK_MONOTONIC nanoseconds); rss 0 when the process is gone or may not be looked at.
  [[nodiscard]] MemorySample Sample(std::uint64_t now);

 private:
  pid_t pid_;
  std::uint64_t next_full_ = 0;
};

}  // namespace leaktrace::record
