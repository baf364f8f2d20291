// `moments MOMENT`: allocates, frees and maps at a moment that is awkward for a recorder. Leaks have sizes that nothing
// else has.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

extern char** environ;

namespace {

constexpr int kPage = 4096;
void* volatile sink;

void Leak(std::size_t bytes) { sink = malloc(bytes); }

// ---- before main ----

void* before_main = nullptr;
void LeakInConstructor() {
  Leak(3001);
  before_main = malloc(3002);
}
__attribute__((constructor)) void Construct() { LeakInConstructor(); }

int Constructor() {
  free(before_main);
  return 0;
}

// ---- as a thread ends ----

struct LeakingAtThreadEnd {
  char* block = static_cast<char*>(malloc(3101));
  ~LeakingAtThreadEnd() {
    free(block);
    LeakInThreadLocalDestructor();
  }
  __attribute__((noinline)) static void LeakInThreadLocalDestructor() { Leak(3102); }
};
thread_local LeakingAtThreadEnd at_thread_end;

pthread_key_t key;
// Again and again, as long as libc calls it: its last calls come after everybody else's.
void LeakInKeyDestructor(void* value) {
  Leak(3103);
  pthread_setspecific(key, value);
}

void* RunAndLeak(void*) {
  at_thread_end.block[0] = 1;
  pthread_setspecific(key, &key);
  sink = malloc(16);
  free(sink);
  return nullptr;
}

// libc calls a key's destructor 4 times if it sets its value each time.
int ThreadEnd() {
  pthread_key_create(&key, LeakInKeyDestructor);
  for (int i = 0; i < 5; ++i) {
    pthread_t thread;
    pthread_create(&thread, nullptr, RunAndLeak, nullptr);
    pthread_join(thread, nullptr);
  }
  return 0;
}

// A thread whose first event comes as it ends.
void* SetKeyOnly(void*) {
  pthread_setspecific(key, &key);
  return nullptr;
}

int ThreadEndFirstEvent() {
  pthread_key_create(&key, LeakInKeyDestructor);
  pthread_t thread;
  pthread_create(&thread, nullptr, SetKeyOnly, nullptr);
  pthread_join(thread, nullptr);
  return 0;
}

// A thread whose first event comes while libc holds the thread's own lock: pthread_getattr_np allocates.
void* AskForAttributes(void*) {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return nullptr;
  pthread_attr_destroy(&attributes);
  Leak(3105);
  return &key;
}
int ThreadAttributes() {
  pthread_t thread;
  void* result = nullptr;
  pthread_create(&thread, nullptr, AskForAttributes, nullptr);
  pthread_join(thread, &result);
  return result == &key ? 0 : 1;
}

// More threads one after the other than there are rings.
void* LeakInShortThread(void*) {
  Leak(3104);
  return nullptr;
}
int ManyThreads() {
  for (int i = 0; i < 5000; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, LeakInShortThread, nullptr) != 0) return 1;
    pthread_join(thread, nullptr);
  }
  return 0;
}

// ---- in signal handlers ----

std::atomic<int> handled{0};
std::atomic<bool> finished{false};

// Mapping memory is a plain system call, which a handler may well make whatever it interrupts.
__attribute__((noinline)) void MapInHandler() {
  sink = mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
void MapOnSignal(int) {
  const int saved = errno;
  void* const memory = mmap(nullptr, 2 * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(memory, 2 * kPage);
  if (handled.load() % 100 == 0) MapInHandler();
  errno = saved;
  handled.fetch_add(1);
}

constexpr int kSignals = 300;

void* SendSignals(void* target) {
  for (int i = 0; i < kSignals; ++i) {
    pthread_kill(*static_cast<pthread_t*>(target), SIGUSR1);
    while (handled.load() <= i) sched_yield();
  }
  finished = true;
  return nullptr;
}

// 300 signals while the thread does nothing but allocate and free: 3 pages stay mapped.
int SignalHandler() {
  struct sigaction action {};
  action.sa_handler = MapOnSignal;
  sigaction(SIGUSR1, &action, nullptr);
  pthread_t self = pthread_self(), sender;
  pthread_create(&sender, nullptr, SendSignals, &self);
  while (!finished.load()) {
    void* block = malloc(3201);
    block = realloc(block, 3202);
    free(block);
  }
  pthread_join(sender, nullptr);
  return handled.load() == kSignals ? 0 : 1;
}

__attribute__((noinline)) void LeakInHandler() { Leak(3203); }
void LeakOnSignal(int) { LeakInHandler(); }

// Raised by the thread itself, outside of the allocator, on a stack of the handler's own.
int RaisedSignal() {
  stack_t stack{};
  stack.ss_size = 64 << 10;
  stack.ss_sp = malloc(stack.ss_size);
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_handler = LeakOnSignal;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, nullptr);
  for (int i = 0; i < 7; ++i) raise(SIGUSR1);
  return 0;
}

// ---- children ----

void LeakAfterChild() { Leak(3301); }

int Reap(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child) return -1;
  errno = 0;
  // The recorder, or what started it, must not show as a child.
  if (waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD) return -2;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -3;
}

void LeakInVforkChild() { Leak(3302); }

// A vfork child runs in its parent's memory: what it allocates, the parent has.
int VforkOnce() {
  char* const arguments[] = {const_cast<char*>("true"), nullptr};
  void* const block = malloc(3303);
  const pid_t child = vfork();
  if (child == 0) {
    LeakInVforkChild();
    free(block);
    execve("/bin/true", arguments, environ);
    _exit(127);
  }
  return Reap(child);
}
int Vfork() {
  for (int i = 0; i < 10; ++i) {
    if (VforkOnce() != 0) return 1;
  }
  const pid_t child = vfork();
  if (child == 0) _exit(9);
  if (Reap(child) != 9) return 2;
  LeakAfterChild();
  return 6;
}

int ForkAndExec() {
  for (int i = 0; i < 10; ++i) {
    char* const arguments[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>("exit 3"), nullptr};
    const pid_t child = fork();
    if (child == 0) {
      execv("/bin/sh", arguments);
      _exit(127);
    }
    if (Reap(child) != 3) return 1;
  }
  LeakAfterChild();
  return 6;
}

int ForkAndLeave() {
  const pid_t child = fork();
  if (child == 0) _exit(4);
  if (Reap(child) != 4) return 1;
  LeakAfterChild();
  return 6;
}

void* LeakInThreadOfChild(void*) {
  Leak(3305);
  return nullptr;
}
void LeakInGrandchild() { Leak(3306); }

// A child that goes on, with a thread and a child of its own.
int ForkAndGoOn() {
  const pid_t child = fork();
  if (child == 0) {
    pthread_t thread;
    pthread_create(&thread, nullptr, LeakInThreadOfChild, nullptr);
    pthread_join(thread, nullptr);
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      LeakInGrandchild();
      exit(8);
    }
    exit(Reap(grandchild));
  }
  if (Reap(child) != 8) return 1;
  LeakAfterChild();
  return 6;
}

// By the system call itself, past libc.
int RawFork() {
  const long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    LeakInGrandchild();
    syscall(SYS_exit_group, 8);
  }
  if (Reap(static_cast<pid_t>(child)) != 8) return 1;
  LeakAfterChild();
  return 6;
}

int Spawn() {
  char* const arguments[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>("exit 3"), nullptr};
  pid_t child = 0;
  if (posix_spawn(&child, "/bin/sh", nullptr, nullptr, arguments, environ) != 0 || Reap(child) != 3) return 1;
  if (posix_spawnp(&child, "sh", nullptr, nullptr, arguments, environ) != 0 || Reap(child) != 3) return 2;
  if (posix_spawn(&child, "/nonexistent", nullptr, nullptr, arguments, environ) != ENOENT) return 3;
  if (WEXITSTATUS(system("exit 5")) != 5) return 4;
  LeakAfterChild();
  return 6;
}

// ---- exec ----

int FailedExec() {
  if (execl("/nonexistent", "nonexistent", "argument", nullptr) != -1 || errno != ENOENT) return 1;
  if (execlp("leaktrace-no-such-program", "x", nullptr) != -1 || errno != ENOENT) return 2;
  if (execle("/nonexistent", "x", nullptr, environ) != -1 || errno != ENOENT) return 3;
  LeakAfterChild();
  return 6;
}

int Exec() {
  LeakAfterChild();
  execl("/bin/sh", "sh", "-c", "exit \"$1\"", "x", "12", nullptr);
  return 1;
}

// ---- exits ----

void LeakAtExit() { Leak(3401); }
void LeakInDestructor() { Leak(3402); }
bool leak_in_destructor = false;
__attribute__((destructor)) void Destruct() {
  if (leak_in_destructor) LeakInDestructor();
}

int Return() {
  leak_in_destructor = true;
  atexit(LeakAtExit);
  return 21;
}
int Exit() {
  leak_in_destructor = true;
  atexit(LeakAtExit);
  exit(22);
}
int QuickExit() {
  at_quick_exit(LeakAtExit);
  quick_exit(23);
}
int ExitNow() {
  LeakAfterChild();
  _exit(24);
}
int ExitC99() {
  LeakAfterChild();
  _Exit(25);
}
int ExitGroup() {
  LeakAfterChild();
  syscall(SYS_exit_group, 26);
  return 1;
}
int Abort() {
  LeakAfterChild();
  abort();
}
void* ExitFromThread(void*) {
  LeakAfterChild();
  exit(27);
}
int ThreadExit() {
  pthread_t thread;
  pthread_create(&thread, nullptr, ExitFromThread, nullptr);
  pthread_join(thread, nullptr);
  return 1;
}

// ---- modules ----

// The plug-in lies beside this program; it leaks when it is loaded and when it is called, the second by operator new.
int Plugin(const char* path) {
  void* const handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    std::printf("%s\n", dlerror());
    return 1;
  }
  const auto leak = reinterpret_cast<void (*)()>(dlsym(handle, "LeakInPlugin"));
  if (leak == nullptr) return 2;
  leak();
  if (dlopen("/nonexistent.so", RTLD_NOW) != nullptr || dlerror() == nullptr) return 3;
  if (dlclose(handle) != 0) return 4;
  LeakAfterChild();
  return 6;
}

struct Moment {
  std::string_view name;
  int (*run)();
};

constexpr Moment kMoments[] = {
    {"constructor", Constructor},
    {"thread-end", ThreadEnd},
    {"thread-end-first-event", ThreadEndFirstEvent},
    {"thread-attributes", ThreadAttributes},
    {"many-threads", ManyThreads},
    {"signal-handler", SignalHandler},
    {"raised-signal", RaisedSignal},
    {"vfork", Vfork},
    {"fork-exec", ForkAndExec},
    {"fork-leave", ForkAndLeave},
    {"fork-go-on", ForkAndGoOn},
    {"raw-fork", RawFork},
    {"spawn", Spawn},
    {"failed-exec", FailedExec},
    {"exec", Exec},
    {"return", Return},
    {"exit", Exit},
    {"quick-exit", QuickExit},
    {"exit-now", ExitNow},
    {"exit-c99", ExitC99},
    {"exit-group", ExitGroup},
    {"abort", Abort},
    {"thread-exit", ThreadExit},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "plugin") return Plugin(argv[2]);
  for (const Moment& moment : kMoments) {
    if (argc == 2 && moment.name == argv[1]) return moment.run();
  }
  return 2;
}
