// A recorder for tests: it attaches to a session as `leaktrace record` does, and writes every record that it reads as a
// line of text to the session's output path. It decodes by format/ring.h alone.
//
// A line: SLOT STAMP OP WORD... and for variable records SLOT STAMP OP then the text or bytes in hexadecimal. The last
// line is "end TARGET_STATE STOP_REASON END_KIND END_STATUS". The file is locked as long as the recorder runs.
// RING_RECORDER=die: it exits once it was ready; stall: it stops reading then.
#include <linux/futex.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "format/ring.h"

namespace leaktrace {
namespace {

using format::FixedWords;
using format::IsVariable;
using format::Op;
using format::SessionHeader;
using format::SlotState;
using format::ThreadSlot;

class Reader {
 public:
  Reader(SessionHeader* header, FILE* out) : header_(header), out_(out), base_(reinterpret_cast<char*>(header)) {}

  // True if there was anything to read.
  bool Pass() {
    bool read = false;
    for (std::uint32_t i = 0; i < header_->slot_count.load(); ++i) read |= ReadSlot(i);
    header_->progress.fetch_add(1);
    fflush(out_);
    return read;
  }

 private:
  bool ReadSlot(std::uint32_t index) {
    ThreadSlot& slot = reinterpret_cast<ThreadSlot*>(base_ + header_->slots_offset)[index];
    const auto* ring = reinterpret_cast<const std::uint64_t*>(base_ + header_->rings_offset +
                                                              std::uint64_t{index} * header_->options.ring_bytes);
    const std::uint64_t mask = header_->options.ring_bytes / 8 - 1;
    const SlotState state = slot.state.load(std::memory_order_acquire);
    const std::uint64_t head = slot.head.load(std::memory_order_acquire);
    std::uint64_t at = slot.tail.load();
    const bool read = at != head;
    while (at != head) {
      const Op op = static_cast<Op>(ring[at & mask] & 255);
      std::fprintf(out_, "%u %llu %u", index, static_cast<unsigned long long>(ring[at & mask] >> 8),
                   static_cast<unsigned>(op));
      std::uint64_t words = FixedWords(op);
      if (words != 0) {
        for (std::uint64_t i = 1; i < words; ++i)
          std::fprintf(out_, " %llx", static_cast<unsigned long long>(ring[(at + i) & mask]));
      } else if (IsVariable(op)) {
        const std::uint64_t bytes = ring[(at + 1) & mask];
        words = 2 + (bytes + 7) / 8;
        std::fputc(' ', out_);
        for (std::uint64_t i = 0; i < bytes; ++i) {
          std::fprintf(out_, "%02x", static_cast<unsigned>(ring[(at + 2 + i / 8) & mask] >> (8 * (i % 8)) & 255));
        }
      } else {
        std::fprintf(out_, " unreadable\n");
        std::exit(1);
      }
      std::fputc('\n', out_);
      at += words;
    }
    slot.tail.store(at, std::memory_order_release);
    if (state == SlotState::kEnding && at == slot.head.load()) {
      SlotState ending = SlotState::kEnding;
      slot.state.compare_exchange_strong(ending, SlotState::kFree, std::memory_order_release);
    }
    return read;
  }

  SessionHeader* header_;
  FILE* out_;
  char* base_;
};

int Record(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return 2;
  void* memory =
      mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) return 2;
  auto* const header = static_cast<SessionHeader*>(memory);
  if (header->magic != format::kSessionMagic || header->header_bytes != sizeof(SessionHeader)) return 2;
  FILE* out = std::fopen(header->output_path, "w");
  if (out == nullptr || flock(fileno(out), LOCK_EX) != 0) return 2;
  const int target = static_cast<int>(syscall(SYS_pidfd_open, header->pid, 0));
  header->recorder_pid.store(static_cast<std::uint32_t>(getpid()));
  header->recorder_state.store(format::RecorderState::kAttached);
  const char* mode = std::getenv("RING_RECORDER");
  Reader reader(header, out);
  bool ready = false;
  for (;;) {
    pollfd end{target, POLLIN, 0};
    poll(&end, 1, 1);
    const bool ended = (end.revents & POLLIN) != 0;
    const format::TargetState state = header->target_state.load(std::memory_order_acquire);
    reader.Pass();
    header->modules_ready.store(header->module_requests.load());
    if (!ready && state >= format::TargetState::kStarting) {
      ready = true;
      header->recorder_state.store(format::RecorderState::kReady, std::memory_order_release);
      syscall(SYS_futex, &header->recorder_state, FUTEX_WAKE, 1000);
      if (mode != nullptr && std::strcmp(mode, "die") == 0) return 0;
      if (mode != nullptr && std::strcmp(mode, "stall") == 0) {
        poll(&end, 1, -1);
        return 0;
      }
    }
    if (ended || state == format::TargetState::kStopped) break;
  }
  while (reader.Pass()) {
  }
  std::fprintf(out, "end %u %u %u %d\n", static_cast<unsigned>(header->target_state.load()),
               static_cast<unsigned>(header->stop_reason.load()), static_cast<unsigned>(header->end_kind.load()),
               header->end_status.load());
  std::fclose(out);
  header->recorder_state.store(format::RecorderState::kFinished);
  syscall(SYS_futex, &header->recorder_state, FUTEX_WAKE, 1000);
  return 0;
}

}  // namespace
}  // namespace leaktrace

int main(int argc, char** argv) {
  if (argc != 4 || std::strcmp(argv[1], "record") != 0) return 2;
  return leaktrace::Record(std::atoi(argv[3]));
}
