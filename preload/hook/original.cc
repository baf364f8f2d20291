#include "preload/hook/original.h"

#include <dlfcn.h>

#include "preload/base/loader_error.h"
#include "preload/thread/thread_state.h"

namespace leaktrace::preload {
namespace {

constinit __thread int finding __attribute__((tls_model("initial-exec"))) = 0;

// RTLD_NEXT is understood relative to the return address of the call: so this must not become a tail call.
__attribute__((noinline)) void* Next(const char* name) {
  void* const address = dlsym(RTLD_NEXT, name);
  asm volatile("" : : "r"(address) : "memory");
  return address;
}

using Open = void* (*)(const char*, int);

// While the loader is asked. What it allocates it frees at some later time (the text of an error, for one), so it is
// recorded like any other block: the guard of the hook that asks is lowered.
class Finding {
 public:
  Finding() : guard_(thread_state.guard) {
    ++finding;
    if (guard_ == Guard::kInOriginal) thread_state.guard = Guard::kOutside;
  }
  ~Finding() {
    thread_state.guard = guard_;
    --finding;
  }
  Finding(const Finding&) = delete;
  Finding& operator=(const Finding&) = delete;

 private:
  Guard guard_;
};

constexpr const char* kCxxRuntimes[] = {"libstdc++.so.6", "libc++abi.so.1", "libc++.so.1"};

}  // namespace

bool IsFinding() { return finding != 0; }

void* FindNext(const char* name) {
  const Finding scope;
  void* const address = Next(name);
  if (address == nullptr) ForgetLoaderError();
  return address;
}

void* FindNextInCxxRuntime(const char* name) {
  if (void* const address = FindNext(name); address != nullptr) return address;
  // An addon that was opened with RTLD_LOCAL meets this library's operators first, since a preloaded library comes
  // before what the addon needs.
  const auto open = reinterpret_cast<Open>(FindNext("dlopen"));
  if (open == nullptr) return nullptr;
  const Finding scope;
  void* address = nullptr;
  for (const char* library : kCxxRuntimes) {
    void* const handle = open(library, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == nullptr) continue;
    address = dlsym(handle, name);
    dlclose(handle);
    if (address != nullptr) break;
  }
  if (address == nullptr) ForgetLoaderError();
  return address;
}

}  // namespace leaktrace::preload
