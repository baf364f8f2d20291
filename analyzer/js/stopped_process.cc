#include "analyzer/js/stopped_process.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace leaktrace::js {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

struct Mapping {
  std::uint64_t begin = 0, end = 0;
  std::string path;
};

std::vector<Mapping> ReadMappings(pid_t pid) {
  std::vector<Mapping> mappings;
  std::ifstream maps(absl::StrCat("/proc/", pid, "/maps"));
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping;
    char dash = 0;
    std::string permissions, offset, device, inode;
    std::istringstream(line) >> std::hex >> mapping.begin >> dash >> mapping.end >> permissions >> offset >> device >>
        inode >> std::ws;
    if (const std::size_t path = line.find('/'); path != std::string::npos) mapping.path = line.substr(path);
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

}  // namespace

absl::StatusOr<StoppedProcess> StoppedProcess::Start(const std::vector<std::string>& arguments,
                                                     const std::vector<std::string>& environment,
                                                     const std::string& directory, absl::Duration timeout) {
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  const pid_t parent = getpid();
  const pid_t pid = vfork();
  if (pid < 0) return absl::UnavailableError(absl::StrCat("cannot start ", arguments[0], ": ", std::strerror(errno)));
  if (pid == 0) {
    // The child must not outlive a killed recorder; nor may it hold the recorder's descriptors open.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    const int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || chdir(directory.c_str()) != 0)
      _exit(127);
    syscall(SYS_close_range, 3, ~0u, 0);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  StoppedProcess child(pid);
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    int status = 0;
    const pid_t changed = waitpid(pid, &status, WUNTRACED | WNOHANG);
    if (changed == pid && WIFSTOPPED(status)) return child;
    if (changed == pid) {
      child.pid_ = -1;
      return absl::FailedPreconditionError(absl::StrCat(arguments[0], " ended before it stopped itself (",
                                                        WIFSIGNALED(status)
                                                            ? absl::StrCat("signal ", WTERMSIG(status))
                                                            : absl::StrCat("status ", WEXITSTATUS(status)),
                                                        ")"));
    }
    if (changed < 0 && errno != EINTR) return absl::UnavailableError(absl::StrCat("waitpid: ", std::strerror(errno)));
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError(absl::StrCat(arguments[0], " did not stop itself in time"));
    absl::SleepFor(absl::Milliseconds(2));
  }
}

StoppedProcess::StoppedProcess(StoppedProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

StoppedProcess::~StoppedProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool StoppedProcess::Read(std::uint64_t address, void* to, std::size_t bytes) const {
  const iovec local{to, bytes}, remote{reinterpret_cast<void*>(address), bytes};
  return process_vm_readv(pid_, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes);
}

std::optional<std::uint64_t> StoppedProcess::ReadWord(std::uint64_t address) const {
  std::uint64_t word;
  if (!Read(address, &word, sizeof word)) return std::nullopt;
  return word;
}

absl::StatusOr<StoppedProcess::Stack> StoppedProcess::ReadStack() const {
  const std::string process = absl::StrCat("/proc/", pid_);
  std::string call;
  std::getline(std::ifstream(process + "/syscall") >> std::ws, call);
  const std::vector<std::string> fields =
      absl::StrSplit(call, ' ');  // number, six arguments, stack pointer, program counter
  std::uint64_t pointer = 0;
  if (fields.size() < 3 || !absl::SimpleHexAtoi(fields[fields.size() - 2], &pointer)) {
    return absl::UnavailableError(absl::StrCat(process, "/syscall does not tell the stack pointer: '", call, "'"));
  }
  for (const Mapping& mapping : ReadMappings(pid_)) {
    if (pointer < mapping.begin || pointer >= mapping.end) continue;
    Stack stack{pointer & ~7ull, {}};
    stack.words.resize((mapping.end - stack.begin) / 8);
    if (!Read(stack.begin, stack.words.data(), stack.words.size() * 8)) break;
    return stack;
  }
  return absl::UnavailableError(absl::StrCat(process, "/maps: no readable stack at 0x", absl::Hex(pointer)));
}

absl::StatusOr<StoppedProcess::Code> StoppedProcess::FindExecutableCode(std::uint64_t inside) const {
  // As the kernel names it: the path that it was started by may be a link, or lead through /proc.
  std::error_code error;
  const std::string executable = std::filesystem::read_symlink(absl::StrCat("/proc/", pid_, "/exe"), error);
  std::uint64_t first = 0;
  for (const Mapping& mapping : ReadMappings(pid_)) {
    if (mapping.path != executable) continue;
    if (first == 0) first = mapping.begin;
    if (inside < mapping.begin || inside >= mapping.end) continue;
    Elf64_Ehdr header;
    if (!Read(first, &header, sizeof header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) break;
    Code code{0, header.e_type == ET_DYN ? first : 0, {}};
    code.address = mapping.begin - code.load_bias;
    code.code.resize(mapping.end - mapping.begin);
    if (!Read(mapping.begin, code.code.data(), code.code.size())) break;
    return code;
  }
  return absl::NotFoundError(absl::StrCat(executable, ": 0x", absl::Hex(inside), " is not in its mapped code"));
}

}  // namespace leaktrace::js
