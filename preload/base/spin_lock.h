// A lock for the cold path: what it protects takes microseconds. Not recursive. A thread that a signal interrupts while
// it holds the lock must not take it again in the handler: holders keep the guard of their thread raised, which keeps
// hooks in the handler away (thread/guard.h).
//
// In a forked child a lock that another thread held at the fork is free: the holder is known by its process.
#pragma once

#include <atomic>
#include <cstdint>

#include "preload/base/syscall.h"

namespace leaktrace::preload {

class SpinLock {
 public:
  void Lock() {
    const std::uint32_t self = ProcessId();
    for (;;) {
      std::uint32_t holder = holder_.load(std::memory_order_relaxed);
      // The acquire matches the release in Unlock.
      if (holder != self && holder_.compare_exchange_weak(holder, self, std::memory_order_acquire)) return;
      Syscall(SYS_sched_yield);
    }
  }
  void Unlock() { holder_.store(0, std::memory_order_release); }

 private:
  std::atomic<std::uint32_t> holder_{0};
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
