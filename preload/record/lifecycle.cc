#include "preload/record/lifecycle.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>

#include "format/hook_map.h"
#include "preload/base/memory.h"
#include "preload/base/message.h"
#include "preload/base/syscall.h"
#include "preload/js/frames.h"
#include "preload/patch/patch.h"
#include "preload/record/early.h"
#include "preload/record/modules.h"
#include "preload/record/process_event.h"
#include "preload/record/stack_tree.h"
#include "preload/session/session.h"
#include "preload/session/settings.h"
#include "preload/thread/guard.h"
#include "preload/thread/registration.h"
#include "preload/unwind/libunwind.h"

// Before glibc 2.34 a program without threads has none of these.
extern "C" {
int pthread_key_create(pthread_key_t*, void (*)(void*)) noexcept __attribute__((weak));
int pthread_setspecific(pthread_key_t, const void*) noexcept __attribute__((weak));
}

namespace leaktrace::preload {
namespace {

// ThreadState::session between a call of dlopen and the thread's first event after it: no session's number, so every
// event comes here.
constexpr std::uint32_t kLoadingSession = ~0u - 2;

constinit Settings settings;
constinit bool settings_read = false;
constinit std::atomic<std::uint32_t> decider{0};  // process id of who decides or has decided
constinit pthread_key_t end_key = 0;
constinit bool end_key_made = false;
constinit bool libc_allocates = false;  // the allocator behind the hooks is libc's, which calls no hook itself

// Runs as a destructor of thread-specific data. libc runs those again, a few times over, as long as they set their
// value anew: the last of these passes is as late as a library can get.
void OnThreadEnd(void*) {
  constexpr std::uint32_t kPasses = 4;  // PTHREAD_DESTRUCTOR_ITERATIONS of glibc and musl
  ThreadState& thread = thread_state;
  if (thread.session != process.session.load(std::memory_order_relaxed) || thread.guard != Guard::kOutside) return;
  if (++thread.end_passes < kPasses) {
    pthread_setspecific(end_key, &thread);
    return;
  }
  thread.guard = Guard::kWriting;
  ReleaseStackTree(thread);
  js::ReleaseJscTables();
  GiveSlotBack(thread);
  thread.session = kEndedSession;
  thread.guard = Guard::kOutside;
}

bool Register(ThreadState& thread, std::uint32_t number) {
  thread.tree = nullptr;
  thread.end_passes = 0;
  {
    const QuietScope quiet(thread);
    if (!TakeSlot(thread)) return false;
  }
  thread.session = number;
  // libc may allocate for the value, and frees that when the thread ends: so this is recorded like any other call.
  thread.guard = Guard::kOutside;
  if (end_key_made) pthread_setspecific(end_key, &thread);
  return true;
}

// The guard of the thread itself before the transient state was made.
Guard GuardBefore(const ThreadState& transient) {
  switch (transient.transient) {
    case Transient::kInWriting:
      return Guard::kWriting;
    case Transient::kInOriginal:
      return Guard::kInOriginal;
    default:
      return Guard::kOutside;
  }
}

ThreadState* BeginTransient(void* storage, ThreadState& own, std::uint32_t number) {
  auto* const thread = static_cast<ThreadState*>(storage);
  *thread = ThreadState{};
  thread->transient = own.guard == Guard::kWriting      ? Transient::kInWriting
                      : own.guard == Guard::kInOriginal ? Transient::kInOriginal
                                                        : Transient::kAfterEnd;
  thread->phase = own.phase;
  own.guard = Guard::kInOriginal;
  if (TakeSlot(*thread)) {
    thread->session = number;
    return thread;
  }
  own.guard = GuardBefore(*thread);
  return nullptr;
}

void FollowLoading(ThreadState& thread, std::uint32_t number) {
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if (here > thread.loading_sp) {
    thread.loading_sp = 0;
    thread.session = number;
  }
  const QuietScope quiet(thread);
  FollowLoader(thread);
}

// Forgets, in a forked child, what belongs to the parent.
void LeaveParent(ThreadState& thread) {
  AbandonSession();
  ReleaseStackTree(thread);
  thread = ThreadState{};
}

// A forked child must not take its parent's session for its own.
bool WipeOnFork() {
  constexpr long kWipeOnFork = 18;
  const long result = Syscall(SYS_madvise, Argument(&process), sizeof(process), kWipeOnFork);
  if (Failed(result)) SayError("madvise(MADV_WIPEONFORK)", result, "not traced, Linux 4.14 or later is needed");
  return !Failed(result);
}

bool LibcAllocates() {
  Dl_info allocator{}, libc{};
  return dladdr(dlsym(RTLD_NEXT, "malloc"), &allocator) != 0 &&
         dladdr(reinterpret_cast<const void*>(&__errno_location), &libc) != 0 && allocator.dli_fbase == libc.dli_fbase;
}

bool StartSession(ThreadState& thread, bool forked) {
  if (settings.options.session.unwinder == format::Unwinder::kLibunwind && !OpenLibunwind()) {
    Say("LEAKTRACE_UNWIND=libunwind: libunwind.so.8 cannot be loaded; not traced");
    return false;
  }
  if (!WipeOnFork() || !CreateSession(settings, forked)) return false;
  {
    const QuietScope quiet(thread);
    if (!end_key_made) end_key_made = pthread_key_create != nullptr && pthread_key_create(&end_key, OnThreadEnd) == 0;
    thread.tree = nullptr;
    if (!TakeSlot(thread)) return false;
    thread.guard = Guard::kWriting;
    const std::uint32_t modules = forked ? AnnounceKnownModules(thread) : AnnounceModules(thread, settings.executable);
    if (!AwaitRecorder(modules)) return false;
  }
  // An allocator that is linked into the executable maps memory through the hooks.
  const auto* const hook_map = shared_memory.At<format::HookMapTable>(shared_memory.header->hook_map_offset);
  libc_allocates = libc_allocates && hook_map->entry_count == 0;
  // What the loader and libc allocate for it, they free later: so it counts as early, like what was allocated before.
  js::Initialize();
  {
    const QuietScope patching(thread);
    PatchStaticAllocators(*shared_memory.header);
  }
  const QuietScope quiet(thread);
  thread.guard = Guard::kWriting;
  RecordEarlyBlocks(thread);
  thread.session = BeginRecording();
  return true;
}

}  // namespace

bool Decide(ThreadState& thread) {
  if (environ == nullptr) return false;
  const std::uint32_t pid = ProcessId();
  if (decider.exchange(pid, std::memory_order_relaxed) == pid) return false;
  const bool forked = settings_read;
  if (forked) {
    LeaveParent(thread);
  } else {
    settings_read = true;
    const QuietScope quiet(thread);
    ReadSettings(environ, settings);
    libc_allocates = settings.traced && LibcAllocates();
    if (settings.traced) environ = settings.marked_environment;
  }
  bool traced = settings.traced && (!forked || settings.options.children);
  traced = traced && StartSession(thread, forked);
  if (!traced) {
    process.session.store(kNotRecording, std::memory_order_relaxed);
    return false;
  }
  if (end_key_made) pthread_setspecific(end_key, &thread);
  return true;
}

ThreadState* EnterSlowly(void* storage, Nested nested) {
  ThreadState& own = thread_state;
  if (own.guard == Guard::kInOriginal && (nested == Nested::kIgnored || !libc_allocates)) return nullptr;
  // Matched by the release store in BeginRecording.
  std::uint32_t number = process.session.load(std::memory_order_acquire);
  if (number == kNotRecording) return nullptr;
  const int saved = errno;
  ThreadState* result = nullptr;
  if (number != kUndecided || Decide(own)) {
    number = process.session.load(std::memory_order_acquire);
    if (number == kNotRecording) {
      result = nullptr;
    } else if (own.guard != Guard::kOutside || own.session == kEndedSession) {
      result = BeginTransient(storage, own, number);
    } else if (own.session == kLoadingSession) {
      result = &own;
      FollowLoading(own, number);
    } else if (own.session == number || Register(own, number)) {
      result = &own;
    }
  }
  errno = saved;
  return result;
}

void LeaveSlowly(ThreadState* thread) {
  thread->guard = Guard::kWriting;
  ReleaseStackTree(*thread);
  GiveSlotBack(*thread);
  thread_state.guard = GuardBefore(*thread);
}

bool IsRecording() { return process.session.load(std::memory_order_relaxed) >= kFirstSession && IsSessionsProcess(); }

void OnExit(std::int32_t status) {
  // A forked child that had no event yet needs no session for its destructors.
  std::uint32_t undecided = kUndecided;
  process.session.compare_exchange_strong(undecided, kNotRecording, std::memory_order_relaxed);
  if (!IsRecording()) return;
  NoteExit(status);
  const HookGuard guard;
  if (!guard.Records()) return;
  guard.Write();
  RecordProcessEvent(guard.Thread(), format::ProcessEvent::kExit, status);
}

void OnLoading(std::uintptr_t sp) {
  if (!IsRecording()) return;
  {
    const HookGuard guard;  // this may be the thread's first event
    if (!guard.Records()) return;
  }
  ThreadState& thread = thread_state;
  // Within another dlopen the outer one's return is what counts; a thread that has ended announces nothing.
  if (thread.session != process.session.load(std::memory_order_relaxed)) return;
  thread.loading_sp = sp;
  thread.session = kLoadingSession;
}

namespace {

__attribute__((constructor)) void OnLoad() {
  const HookGuard guard;  // decides, if no hook has yet
}

__attribute__((destructor)) void OnUnload() {
  if (IsRecording()) AwaitTraceIfInit();
}

}  // namespace
}  // namespace leaktrace::preload
