#include "preload/unwind/main_return.h"

namespace leaktrace::preload {

constinit std::uintptr_t main_return = 0;

}  // namespace leaktrace::preload
