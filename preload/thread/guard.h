// The guard that every hook takes: it says whether the hook records, and into which ring.
//
// Usage, in the body of an exported hook:
//   HookGuard guard;
//   if (!guard.Records()) [[unlikely]] return ...;   // not traced, or called from within another hook
//   void* block = original(size);                    // hooks that the original calls do not record
//   guard.Write();                                   // from here on until Rest() or the end: records are written
//   RecordAllocation(guard.Thread(), CallerRegisters(), block, ...);
#pragma once

#include <atomic>
#include <cstddef>

#include "preload/base/attributes.h"
#include "preload/session/process.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

// What a hook does within another hook's original.
enum class Nested {
  kIgnored,   // the outer hook's record covers it
  kRecorded,  // if libc's own allocator is in use: that calls no hook, so this one was called by a signal handler
};

// A state for the event of a hook that cannot use the thread's own as it is; or null if nothing is to be recorded.
// Starts the session, registers the thread, or makes a transient state in `storage`, as the case may be. errno is kept.
// Defined in record/lifecycle.cc, since it drives every layer below.
LEAKTRACE_COLD ThreadState* EnterSlowly(void* storage, Nested nested);

// Ends a transient state.
LEAKTRACE_COLD void LeaveSlowly(ThreadState* thread);

class HookGuard {
 public:
  LEAKTRACE_HOT explicit HookGuard(Nested nested = Nested::kIgnored) {
    ThreadState& own = thread_state;
    const std::uint32_t session = process.session.load(std::memory_order_relaxed);
    if (own.session == session && own.guard == Guard::kOutside) [[likely]] {
      thread_ = &own;
    } else {
      // A process that is not traced, and hooks within hooks, are done with this comparison.
      const bool quiet = session == kNotRecording || (own.guard == Guard::kInOriginal && nested == Nested::kIgnored);
      thread_ = quiet ? nullptr : EnterSlowly(storage_, nested);
      if (thread_ == nullptr) return;
    }
    thread_->guard = Guard::kInOriginal;
  }
  LEAKTRACE_HOT ~HookGuard() {
    if (thread_ == nullptr) [[unlikely]]
      return;
    if (thread_->transient != Transient::kNo) [[unlikely]] {
      LeaveSlowly(thread_);
    } else {
      thread_->guard = Guard::kOutside;
    }
  }
  HookGuard(const HookGuard&) = delete;
  HookGuard& operator=(const HookGuard&) = delete;

  [[nodiscard]] LEAKTRACE_HOT bool Records() const { return thread_ != nullptr; }
  [[nodiscard]] LEAKTRACE_HOT ThreadState& Thread() const { return *thread_; }

  // Between Write and Rest the hook's own thread state is in use by the writer: an event of a signal handler goes
  // elsewhere.
  LEAKTRACE_HOT void Write() const { Set(Guard::kWriting); }
  LEAKTRACE_HOT void Rest() const { Set(Guard::kInOriginal); }

 private:
  LEAKTRACE_HOT void Set(Guard guard) const {
    // The order holds for signal handlers of this thread only, so it binds the compiler and not the processor.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    thread_->guard = guard;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  ThreadState* thread_;
  alignas(ThreadState) std::byte storage_[sizeof(ThreadState)];
};

// Raises the calling thread's guard while the library's own cold code calls into libc.
class QuietScope {
 public:
  explicit QuietScope(ThreadState& thread) : thread_(thread), before_(thread.guard) {
    thread.guard = Guard::kInOriginal;
  }
  ~QuietScope() { thread_.guard = before_; }
  QuietScope(const QuietScope&) = delete;
  QuietScope& operator=(const QuietScope&) = delete;

 private:
  ThreadState& thread_;
  Guard before_;
};

}  // namespace leaktrace::preload
