#include "preload/session/process.h"

namespace leaktrace::preload {

constinit Process process{};

}  // namespace leaktrace::preload
