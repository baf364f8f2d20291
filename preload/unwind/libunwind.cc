#include "preload/unwind/libunwind.h"

#include <dlfcn.h>

#include "preload/base/loader_error.h"

namespace leaktrace::preload {
namespace {

using Open = void* (*)(const char*, int);
using Backtrace = int (*)(void**, int);

constexpr const char* kFile = "libunwind.so.8";

constinit Backtrace backtrace = nullptr;

}  // namespace

bool OpenLibunwind() {
  if (backtrace != nullptr) return true;
  // Not this library's own dlopen, which looks for new modules to announce.
  const auto open = reinterpret_cast<Open>(dlsym(RTLD_NEXT, "dlopen"));
  void* const library = open == nullptr ? nullptr : open(kFile, RTLD_NOW | RTLD_LOCAL);
  if (library != nullptr) backtrace = reinterpret_cast<Backtrace>(dlsym(library, "unw_backtrace"));
  if (backtrace == nullptr) ForgetLoaderError();
  return backtrace != nullptr;
}

std::uint32_t BacktraceByLibunwind(void** addresses, std::uint32_t size) {
  const int count = backtrace(addresses, static_cast<int>(size));
  return count < 0 ? 0 : static_cast<std::uint32_t>(count);
}

}  // namespace leaktrace::preload
