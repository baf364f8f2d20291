// Raw system calls of x86-64 Linux.
//
// They touch neither errno nor any lock of libc, are no cancellation points, and reach no hook of this library; so they
// may be used in signal handlers, between vfork and exec, and before libc is initialised. Results are the kernel's:
// -4095..-1 is a negated error number.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

namespace leaktrace::preload {

inline long Syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

template <typename T>
inline long Argument(T* pointer) {
  return static_cast<long>(reinterpret_cast<std::uintptr_t>(pointer));
}

inline constexpr bool Failed(long result) {
  return static_cast<unsigned long>(result) >= static_cast<unsigned long>(-4095L);
}

// Anonymous, private, zeroed pages; null when there are none. Freed by UnmapPages with the same size.
inline void* MapPages(std::size_t bytes) {
  constexpr long kReadWrite = 3, kPrivateAnonymousNoReserve = 0x4022;
  const long result = Syscall(SYS_mmap, 0, static_cast<long>(bytes), kReadWrite, kPrivateAnonymousNoReserve, -1, 0);
  return Failed(result) ? nullptr : reinterpret_cast<void*>(result);
}

inline void UnmapPages(void* pages, std::size_t bytes) {
  Syscall(SYS_munmap, Argument(pages), static_cast<long>(bytes));
}

struct KernelTime {
  std::int64_t seconds;
  std::int64_t nanoseconds;
};

inline std::uint64_t MonotonicNanoseconds() {
  constexpr long kClockMonotonic = 1;
  KernelTime now{};
  Syscall(SYS_clock_gettime, kClockMonotonic, Argument(&now));
  return static_cast<std::uint64_t>(now.seconds) * 1'000'000'000 + static_cast<std::uint64_t>(now.nanoseconds);
}

inline void SleepNanoseconds(std::int64_t nanoseconds) {
  const KernelTime duration{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  Syscall(SYS_nanosleep, Argument(&duration), 0);
}

// Waits on a futex word in shared memory until it differs from `seen`, is woken, or `nanoseconds` have passed; may
// return early.
inline void FutexWait(const void* word, std::uint32_t seen, std::int64_t nanoseconds) {
  const KernelTime timeout{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  Syscall(SYS_futex, Argument(word), FUTEX_WAIT, seen, Argument(&timeout));
}

inline void FutexWake(const void* word) {
  constexpr long kAll = 0x7fffffff;
  Syscall(SYS_futex, Argument(word), FUTEX_WAKE, kAll);
}

inline std::uint32_t ProcessId() { return static_cast<std::uint32_t>(Syscall(SYS_getpid)); }
inline std::uint32_t ThreadId() { return static_cast<std::uint32_t>(Syscall(SYS_gettid)); }

}  // namespace leaktrace::preload
