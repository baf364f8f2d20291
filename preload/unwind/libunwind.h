// The reference unwinder, for those who ask for it: libunwind, found when the program starts. Slow; the library does
// not depend on it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/base/attributes.h"

namespace leaktrace::preload {

// Loads libunwind into the target. False: there is none. Once, before threads; may allocate: with the guard raised.
LEAKTRACE_COLD bool OpenLibunwind();

// The return addresses of the calling thread's frames, innermost first, at most `size`; their number. May map memory
// and take locks of the loader: with the guard at kInOriginal. OpenLibunwind must have succeeded.
LEAKTRACE_COLD std::uint32_t BacktraceByLibunwind(void** addresses, std::uint32_t size);

}  // namespace leaktrace::preload
