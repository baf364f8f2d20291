// A child process that has stopped itself, and its memory.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace leaktrace::js {

// Owns the child: it is killed and reaped on destruction. One thread.
class StoppedProcess {
 public:
  // Starts `arguments` with `environment` (NAME=value, added to a minimal one), output to /dev/null, in `directory`,
  // and waits until it has stopped itself by SIGSTOP. Errors: DeadlineExceeded, FailedPrecondition (it ended instead;
  // its status is in the message).
  static absl::StatusOr<StoppedProcess> Start(const std::vector<std::string>& arguments,
                                              const std::vector<std::string>& environment, const std::string& directory,
                                              absl::Duration timeout);
  StoppedProcess(StoppedProcess&& other) noexcept;
  StoppedProcess& operator=(StoppedProcess&&) = delete;
  ~StoppedProcess();

  // Copies memory; false where any of it is not mapped.
  bool Read(std::uint64_t address, void* to, std::size_t bytes) const;
  std::optional<std::uint64_t> ReadWord(std::uint64_t address) const;

  // The main thread's stack, from its stack pointer to its base. Errors: Unavailable where /proc does not tell.
  struct Stack {
    std::uint64_t begin;
    std::vector<std::uint64_t> words;
  };
  absl::StatusOr<Stack> ReadStack() const;

  // The mapped code of the executable around the address `inside`. `address` is where it lies in the ELF file's
  // addresses: what is mapped at a is at a - load_bias there.
  struct Code {
    std::uint64_t address, load_bias;
    std::vector<unsigned char> code;
  };
  absl::StatusOr<Code> FindExecutableCode(std::uint64_t inside) const;

 private:
  explicit StoppedProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

}  // namespace leaktrace::js
