// For the hooks through which a process may end.
#pragma once

namespace leaktrace::preload {

// The process ends with this status; nothing of this library runs between here and its end.
void OnLastExit(int status);

}  // namespace leaktrace::preload
