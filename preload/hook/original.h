// The functions that hooks stand in front of: the next definition after this library's, in the loader's order.
#pragma once

#include <atomic>

#include "preload/base/attributes.h"

namespace leaktrace::preload {

// The address of the next `name`, null if there is none. dlsym may allocate: while it runs, Original<> gives that
// thread its substitutes.
LEAKTRACE_COLD void* FindNext(const char* name);

// The same for a function of the C++ runtime, which may have been loaded for a single addon and not for all.
LEAKTRACE_COLD void* FindNextInCxxRuntime(const char* name);

// True while the calling thread is in FindNext.
bool IsFinding();

// One original, looked up at first use. Any thread; several may look it up at once, to the same end.
// `substitute` stands in while there is none: during a lookup, and where libc lacks the function.
template <typename Function>
class Original {
 public:
  using Find = void* (*)(const char*);
  constexpr Original(const char* name, Function substitute, Find find = FindNext)
      : name_(name), substitute_(substitute), find_(find) {}

  // Never null where there is a substitute.
  LEAKTRACE_HOT Function Get() {
    const Function function = function_.load(std::memory_order_relaxed);
    if (function != nullptr) [[likely]]
      return function;
    return Look();
  }

 private:
  LEAKTRACE_COLD Function Look() {
    if (IsFinding()) return substitute_;
    const auto found = reinterpret_cast<Function>(find_(name_));
    if (found == nullptr) return substitute_;
    function_.store(found, std::memory_order_relaxed);
    return found;
  }

  std::atomic<Function> function_{nullptr};
  const char* name_;
  Function substitute_;
  Find find_;
};

}  // namespace leaktrace::preload
