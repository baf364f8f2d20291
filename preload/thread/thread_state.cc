#include "preload/thread/thread_state.h"

namespace leaktrace::preload {

constinit __thread ThreadState thread_state;

}  // namespace leaktrace::preload
