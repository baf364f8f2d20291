#include "preload/thread/stack_bounds.h"

#include <fcntl.h>
#include <sys/auxv.h>

#include "preload/base/syscall.h"

namespace leaktrace::preload {
namespace {

constexpr std::uintptr_t kPage = 4096;

struct Range {
  std::uintptr_t low = 0, high = 0;
  [[nodiscard]] bool Contains(std::uintptr_t address) const { return low <= address && address < high; }
};

// The file name that the kernel executed is the last text above the main thread's stack. The stack may grow down to its
// limit.
Range MainStack() {
  struct {
    std::uint64_t soft, hard;
  } limit{};
  constexpr long kStackLimit = 3;
  constexpr std::uint64_t kMost = 1 << 30;
  const auto top = static_cast<std::uintptr_t>(getauxval(AT_EXECFN));
  if (top == 0 || Failed(Syscall(SYS_prlimit64, 0, kStackLimit, 0, Argument(&limit)))) return {};
  const std::uintptr_t high = (top + kPage) & ~(kPage - 1);
  const std::uint64_t bytes = limit.soft < kMost ? limit.soft : kMost;
  return {high > bytes ? high - bytes : 0, high};
}

// Reads /proc/self/maps character by character: "low-high permissions ...", a line for each mapping.
class MapsReader {
 public:
  MapsReader() : file_(Syscall(SYS_openat, AT_FDCWD, Argument("/proc/self/maps"), O_RDONLY | O_CLOEXEC)) {}
  ~MapsReader() {
    if (!Failed(file_)) Syscall(SYS_close, file_);
  }
  MapsReader(const MapsReader&) = delete;
  MapsReader& operator=(const MapsReader&) = delete;

  // The mapping that holds this address; empty where there is none, or the kernel does not tell.
  Range Find(std::uintptr_t address) {
    while (true) {
      Range range;
      if (!Number(range.low, '-') || !Number(range.high, ' ')) return {};
      if (range.Contains(address)) return range;
      for (int c = Next(); c != '\n'; c = Next()) {
        if (c < 0) return {};
      }
    }
  }

 private:
  int Next() {
    if (at_ == end_) {
      if (Failed(file_)) return -1;
      const long bytes = Syscall(SYS_read, file_, Argument(buffer_), sizeof buffer_);
      if (Failed(bytes) || bytes == 0) return -1;
      at_ = buffer_;
      end_ = buffer_ + bytes;
    }
    return static_cast<unsigned char>(*at_++);
  }

  // A hexadecimal number up to `end`, which is taken too.
  bool Number(std::uintptr_t& number, char end) {
    number = 0;
    for (int c = Next(); c != end; c = Next()) {
      if (c >= '0' && c <= '9') {
        number = number * 16 + static_cast<unsigned>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        number = number * 16 + static_cast<unsigned>(c - 'a' + 10);
      } else {
        return false;
      }
    }
    return true;
  }

  long file_;
  char buffer_[1024];
  const char* at_ = buffer_;
  const char* end_ = buffer_;
};

// glibc and musl keep a thread's control block at the top of its stack (x86-64 ELF TLS, variant II).
std::uintptr_t ControlBlock() {
  std::uintptr_t block;
  asm("mov %%fs:0, %0" : "=r"(block));
  return block;
}

}  // namespace

// Not by pthread_getattr_np: it holds a lock of the thread while it allocates, so a thread whose first event is that
// allocation would wait for itself.
void FindStackBounds(ThreadState& thread) {
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  Range stack;
  // A forked child's only thread has the process's id too, but may run on the stack of the thread that forked.
  if (ThreadId() == ProcessId()) stack = MainStack();
  if (!stack.Contains(here)) {
    stack = MapsReader().Find(here);
    if (stack.Contains(ControlBlock())) stack.high = ControlBlock();
  }
  thread.stack_low = stack.low;
  thread.stack_high = stack.high;
}

}  // namespace leaktrace::preload
