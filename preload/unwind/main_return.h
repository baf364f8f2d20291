// Where main returns to.
#pragma once

#include <cstdint>

namespace leaktrace::preload {

// The return address of the function that runs main, in libc's start code; 0 while main does not run. A stack that
// leads there is whole, also where that code has no row, as in musl.
extern constinit std::uintptr_t main_return __attribute__((visibility("hidden")));

}  // namespace leaktrace::preload
