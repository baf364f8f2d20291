// For the hooks through which sockets are used.
#pragma once

namespace leaktrace::preload {

// The calling thread is about to wait for events.
void OnWaiting();

// The descriptor is about to be closed: once it is, another thread may get it.
void OnClosing(int descriptor);

}  // namespace leaktrace::preload
