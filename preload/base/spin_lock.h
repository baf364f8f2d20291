// A lock for the cold path: what it protects takes microseconds, and no thread holds it while it calls into libc.
// Not recursive. A thread that is interrupted by a signal while it holds the lock must not take it again in the
// handler: holders keep the guard of their thread raised, which keeps hooks in the handler away (thread/guard.h).
#pragma once

#include <atomic>

#include "preload/base/syscall.h"

namespace leaktrace::preload {

class SpinLock {
 public:
  void Lock() {
    // The acquire matches the release in Unlock.
    while (locked_.exchange(true, std::memory_order_acquire)) Syscall(SYS_sched_yield);
  }
  void Unlock() { locked_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> locked_{false};
};

class SpinLockHolder {
 public:
  explicit SpinLockHolder(SpinLock& lock) : lock_(lock) { lock_.Lock(); }
  ~SpinLockHolder() { lock_.Unlock(); }
  SpinLockHolder(const SpinLockHolder&) = delete;
  SpinLockHolder& operator=(const SpinLockHolder&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace leaktrace::preload
