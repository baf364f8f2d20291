// The dynamic loader keeps the message of a failed lookup for dlerror.
#pragma once

#include <dlfcn.h>

namespace leaktrace::preload {

// Clears the error of a failed lookup of ours, so that the target's next dlerror is not about it. The second call frees
// the message (glibc keeps it until then): it was allocated while the hooks did not record, and must be freed while
// they do not.
inline void ForgetLoaderError() {
  dlerror();
  dlerror();
}

}  // namespace leaktrace::preload
