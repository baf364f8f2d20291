#include "preload/session/facts.h"

#include <cpuid.h>
#include <fcntl.h>
#include <sys/auxv.h>

#include "preload/base/memory.h"
#include "preload/base/syscall.h"

namespace leaktrace::preload {
namespace {

bool InvariantTsc() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kPowerManagement = 0x80000007, kInvariant = 1u << 8;
  return __get_cpuid(kPowerManagement, &a, &b, &c, &d) != 0 && (d & kInvariant) != 0;
}

bool HasWord(const char* text, const char* word) {
  while (*text != '\0') {
    std::size_t length = 0;
    while (text[length] != '\0' && text[length] != ' ' && text[length] != '\n') ++length;
    if (length > 0 && Equal(text, length, word)) return true;
    text += length;
    if (*text != '\0') ++text;
  }
  return false;
}

}  // namespace

std::size_t ReadFile(const char* path, char* buffer, std::size_t capacity) {
  buffer[0] = '\0';
  const long file = Syscall(SYS_openat, AT_FDCWD, Argument(path), O_RDONLY | O_CLOEXEC);
  if (Failed(file)) return 0;
  std::size_t size = 0;
  while (size + 1 < capacity) {
    const long result = Syscall(SYS_read, file, Argument(buffer + size), static_cast<long>(capacity - 1 - size));
    if (Failed(result) || result == 0) break;
    size += static_cast<std::size_t>(result);
  }
  Syscall(SYS_close, file);
  buffer[size] = '\0';
  return size;
}

void ReadExecutablePath(char* buffer, std::size_t capacity) {
  const long length =
      Syscall(SYS_readlinkat, AT_FDCWD, Argument("/proc/self/exe"), Argument(buffer), static_cast<long>(capacity - 1));
  if (!Failed(length)) {
    buffer[length] = '\0';
    return;
  }
  const auto* const started_as = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  TextBuilder(buffer, capacity).Add(started_as != nullptr ? started_as : "unknown");
}

bool MakeAbsolute(const char* path, char* buffer, std::size_t capacity) {
  TextBuilder text(buffer, capacity);
  if (path[0] != '/') {
    // The kernel's getcwd counts the NUL; outside the root it gives a text that begins with "(unreachable)".
    const long length = Syscall(SYS_getcwd, Argument(buffer), static_cast<long>(capacity));
    if (Failed(length) || buffer[0] != '/') return false;
    text = TextBuilder(buffer + length - 1, capacity - static_cast<std::size_t>(length) + 1);
    if (length > 2) text.Add('/');
  }
  text.Add(path);
  return text.Complete();
}

format::ClockKind ChooseClock() {
  if (!InvariantTsc()) return format::ClockKind::kSequence;
  char sources[256];
  if (ReadFile("/sys/devices/system/clocksource/clocksource0/available_clocksource", sources, sizeof(sources)) > 0 &&
      !HasWord(sources, "tsc")) {
    return format::ClockKind::kSequence;
  }
  return format::ClockKind::kTsc;
}

}  // namespace leaktrace::preload
