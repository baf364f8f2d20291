#include "tests/unwind/walk_victims.h"

#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <csetjmp>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

#ifdef __clang__
#define KEPT __attribute__((noinline))
#else
#define KEPT __attribute__((noinline, noclone))
#endif

volatile int sink;
Probe current_probe;
std::jmp_buf leave;

KEPT void Plain(Probe probe, int depth) {
  if (depth == 0) {
    probe();
  } else {
    Plain(probe, depth - 1);
  }
  sink = sink + depth;
}

KEPT void VariableArrays(Probe probe, int depth) {
  volatile char array[16 + depth * 24];
  auto* more = static_cast<volatile char*>(alloca(static_cast<std::size_t>(40 + depth)));
  array[0] = 1;
  more[0] = 1;
  if (depth == 0) {
    probe();
  } else {
    VariableArrays(probe, depth - 1);
  }
  sink = sink + array[0] + more[0];
}

KEPT void Realigned(Probe probe, int depth) {
  alignas(64) volatile char aligned[128];
  volatile char array[8 + depth * 8];
  aligned[0] = static_cast<char>(depth);
  array[0] = 1;
  if (depth == 0) {
    probe();
  } else {
    Realigned(probe, depth - 1);
  }
  sink = sink + aligned[0] + array[0];
}

KEPT void LargeFrames(Probe probe, int depth) {
  volatile char array[70000];
  array[5] = 1;
  if (depth == 0) {
    probe();
  } else {
    LargeFrames(probe, depth - 1);
  }
  sink = sink + array[5];
}

int Compare(const void* a, const void* b) {
  if (current_probe != nullptr) {
    const Probe probe = current_probe;
    current_probe = nullptr;
    probe();
  }
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

KEPT void SortCallback(Probe probe) {
  current_probe = probe;
  int numbers[] = {3, 1, 2, 7, 5};
  std::qsort(numbers, 5, sizeof(int), Compare);
  sink = numbers[0];
}

KEPT void CallProbe() {
  current_probe();
  sink = sink + 1;
}

KEPT void OnceCallback(Probe probe) {
  current_probe = probe;
  pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, CallProbe);
  sink = sink + 1;
}

void Handler(int) {
  CallProbe();
  sink = sink + 1;
}

KEPT void RaiseWith(Probe probe, int flags) {
  current_probe = probe;
  struct sigaction action {
  }, before{};
  action.sa_handler = Handler;
  action.sa_flags = flags;
  sigaction(SIGUSR1, &action, &before);
  raise(SIGUSR1);
  // Interrupted at an instruction of its own, not within a call of libc.
  action.sa_handler = [](int) {
    CallProbe();
    std::longjmp(leave, 1);
  };
  action.sa_flags = flags | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  if (setjmp(leave) == 0) sink = *reinterpret_cast<volatile int*>(std::uintptr_t{8});
  signal(SIGSEGV, SIG_DFL);
  sigaction(SIGUSR1, &before, nullptr);
}

KEPT void SignalHandler(Probe probe) {
  RaiseWith(probe, 0);
  sink = sink + 1;
}

KEPT void SignalOnAlternateStack(Probe probe) {
  std::vector<char> memory(64 << 10);
  stack_t alternate{}, before{};
  alternate.ss_sp = memory.data();
  alternate.ss_size = memory.size();
  sigaltstack(&alternate, &before);
  RaiseWith(probe, SA_ONSTACK);
  sigaltstack(&before, nullptr);
}

[[noreturn]] KEPT void ProbeAndThrow(Probe probe) {
  probe();
  throw 1;
}

KEPT void NeverReturns(Probe probe) {
  try {
    ProbeAndThrow(probe);
  } catch (int) {
    sink = sink + 1;
  }
}

struct ProbesAtEnd {
  Probe probe;
  KEPT ~ProbesAtEnd() { probe(); }
};

KEPT void ThrowThrough(Probe probe) {
  const ProbesAtEnd guard{probe};
  if (sink != -1) throw 1;
}

KEPT void WhileUnwinding(Probe probe) {
  try {
    ThrowThrough(probe);
  } catch (int) {
    sink = sink + 1;
  }
}

[[noreturn]] KEPT void ProbeAndLeave(Probe probe) {
  probe();
  std::longjmp(leave, 1);
}

// Ends with a call, so the return address is beyond the function, where another one or nothing is.
KEPT void LastCall(Probe probe) { ProbeAndLeave(probe); }

KEPT void ExitLike(Probe probe) {
  if (setjmp(leave) == 0) LastCall(probe);
  sink = sink + 1;
}

}  // namespace

const WalkVictims LEAKTRACE_VICTIMS = {
    LEAKTRACE_VICTIMS_NAME, Plain,         VariableArrays,         Realigned,    LargeFrames,    SortCallback,
    OnceCallback,           SignalHandler, SignalOnAlternateStack, NeverReturns, WhileUnwinding, ExitLike,
};
