// The server's connections of this process, by descriptor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/base/attributes.h"
#include "preload/traffic/connection.h"

namespace leaktrace::preload {

// Descriptors at or above this are not followed. The table is address space, of which only the pages of descriptors in
// use are touched.
inline constexpr int kMaxDescriptors = 1 << 20;

struct ConnectionTable {
  Connection* connections =
      nullptr;  // kMaxDescriptors of them; null until the first accept, or where there is no memory for them
};
extern constinit ConnectionTable connection_table __attribute__((visibility("hidden")));

// The open connection of this descriptor; null where it is none.
LEAKTRACE_HOT Connection* FindConnection(int descriptor) {
  Connection* const connections =
      __atomic_load_n(&connection_table.connections, __ATOMIC_ACQUIRE);  // matched by the release in OpenConnection
  if (connections == nullptr || static_cast<unsigned>(descriptor) >= kMaxDescriptors) return nullptr;
  Connection& connection = connections[descriptor];
  return connection.IsOpen() ? &connection : nullptr;
}

// The descriptor was accepted, or was received as a connection. Any thread.
LEAKTRACE_COLD void OpenConnection(int descriptor);

}  // namespace leaktrace::preload
