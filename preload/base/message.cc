#include "preload/base/message.h"

#include <atomic>

#include "preload/base/memory.h"
#include "preload/base/syscall.h"

namespace leaktrace::preload {
namespace {

constinit std::atomic<std::uint32_t> said_by{0};  // process id of the last that spoke

}  // namespace

void Say(const char* a, const char* b, const char* c, const char* d, const char* e) {
  const std::uint32_t pid = ProcessId();
  if (said_by.exchange(pid, std::memory_order_relaxed) == pid) return;
  char line[1024];
  TextBuilder text(line, sizeof(line) - 1);
  text.Add("leaktrace: ");
  const char* const parts[] = {a, b, c, d, e};
  for (const char* part : parts) {
    if (part != nullptr) text.Add(part);
  }
  std::size_t size = text.Size();
  line[size++] = '\n';
  constexpr long kStandardError = 2;
  Syscall(SYS_write, kStandardError, Argument(line), static_cast<long>(size));
}

void SayError(const char* what, long result, const char* consequence) {
  char number[24];
  TextBuilder text(number, sizeof(number));
  text.AddNumber(static_cast<std::uint64_t>(-result));
  Say(what, ": error ", number, "; ", consequence);
}

}  // namespace leaktrace::preload
