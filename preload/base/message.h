// What the library says to the user: at most one line for each process, on standard error.
#pragma once

#include "preload/base/attributes.h"

namespace leaktrace::preload {

// Writes "leaktrace: " and the parts as one line. Later calls in the same process write nothing. Null parts are left
// out.
LEAKTRACE_COLD void Say(const char* a, const char* b = nullptr, const char* c = nullptr, const char* d = nullptr,
                        const char* e = nullptr);

// ... with ": error N" of the kernel at the end.
LEAKTRACE_COLD void SayError(const char* what, long result, const char* consequence);

}  // namespace leaktrace::preload
