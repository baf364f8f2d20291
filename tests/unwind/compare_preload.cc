// A library for LD_PRELOAD that captures the stack of every allocation twice, by the product's code and by libunwind,
// and counts where the two differ. At exit it writes "stacks=N equal=N ends=N depth=N" to the file that
// LEAKTRACE_COMPARE names, then up to 20 of the stacks that differ or have no end.
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include "preload/base/registers.h"
#include "preload/record/stack_tree.h"
#include "tests/unwind/fake_session.h"

namespace leaktrace {
namespace {

thread_local int depth __attribute__((tls_model("initial-exec"))) =
    0;  // > 0: in a hook, or this thread is not to be looked at
std::atomic<bool> active{false};
std::atomic<std::uint64_t> stacks, equal, ends, frames;

std::mutex examples_mutex;
std::string* examples;
int example_count = 0;

// Never destroyed before the thread's last allocation: it is given up with the thread.
FakeThread& CurrentThread() {
  static thread_local FakeThread* thread = nullptr;
  if (thread == nullptr) thread = new FakeThread(1 << 15);
  return *thread;
}

void KeepExample(const char* title, const std::vector<RecordedFrame>& ours, void* const* theirs, int count) {
  const std::lock_guard lock(examples_mutex);
  if (++example_count > 20) return;
  char text[32];
  *examples += title;
  for (const RecordedFrame& frame : ours) {
    std::snprintf(text, sizeof(text), " %d:%lx", static_cast<int>(frame.kind), static_cast<unsigned long>(frame.value));
    *examples += text;
  }
  *examples += "\n  libunwind";
  for (int i = 0; i < count; ++i) {
    std::snprintf(text, sizeof(text), " %lx", reinterpret_cast<unsigned long>(theirs[i]));
    *examples += text;
  }
  *examples += "\n";
}

void Compare(const preload::Registers& registers) {
  constexpr int kMost = 512;
  FakeThread& thread = CurrentThread();
  const std::vector<RecordedFrame> ours = thread.Stack(preload::CaptureStack(thread.state(), registers));
  void* addresses[kMost];
  const int count = unw_backtrace(addresses, kMost);
  int first = 0;
  while (first < count && reinterpret_cast<std::uintptr_t>(addresses[first]) != registers.pc) ++first;
  const auto theirs = static_cast<std::size_t>(count - first);
  const bool whole = !ours.empty() && ours.back().kind != format::FrameKind::kBroken &&
                     ours.back().kind != format::FrameKind::kTruncated;
  const std::size_t captured = ours.size() - (whole ? 0 : 1);
  // Where V8's deoptimizer has taken the frames off, ours ends as broken, and libunwind may go on through what is no
  // code: then it must agree as far as ours goes. How many such stacks there may be is the test's to say.
  bool same = whole ? theirs == captured : theirs >= captured;
  for (std::size_t i = 0; same && i < captured; ++i)
    same = ours[i].value == reinterpret_cast<std::uintptr_t>(addresses[first + static_cast<int>(i)]);
  ++stacks;
  equal += same;
  ends += whole;
  frames += ours.size();
  if (!same || !whole) KeepExample(same ? "no end" : "differs", ours, addresses + first, count - first);
}

#define COMPARE()                                               \
  do {                                                          \
    if (active.load(std::memory_order_acquire) && depth == 0) { \
      ++depth;                                                  \
      Compare(preload::CallerRegisters());                      \
      --depth;                                                  \
    }                                                           \
  } while (false)

__attribute__((constructor)) void Start() {
  ++depth;
  examples = new std::string;
  new FakeSession({.max_depth = 512});  // lives as long as the process
  active.store(true, std::memory_order_release);
  --depth;
}

__attribute__((destructor)) void Finish() {
  active.store(false);
  ++depth;
  const char* path = std::getenv("LEAKTRACE_COMPARE");
  std::FILE* file = path == nullptr ? nullptr : std::fopen(path, "w");
  if (file == nullptr) return;
  std::fprintf(file, "stacks=%lu equal=%lu ends=%lu frames=%lu\n%s", stacks.load(), equal.load(), ends.load(),
               frames.load(), examples->c_str());
  std::fclose(file);
}

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace
}  // namespace leaktrace

using namespace leaktrace;  // NOLINT(google-build-using-namespace): the hooks below have C's names

extern "C" {

void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);

void* malloc(std::size_t size) {
  COMPARE();
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
  COMPARE();
  return __libc_calloc(count, size);
}

void* realloc(void* block, std::size_t size) {
  COMPARE();
  return __libc_realloc(block, size);
}

int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  static const auto original = Next<int (*)(void**, std::size_t, std::size_t)>("posix_memalign");
  COMPARE();
  return original(block, alignment, size);
}

}  // extern "C"

void* operator new(std::size_t size) {
  COMPARE();
  return __libc_malloc(size);
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
