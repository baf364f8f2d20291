#include "preload/traffic/connections.h"

#include "preload/base/syscall.h"

namespace leaktrace::preload {

constinit ConnectionTable connection_table;

void OpenConnection(int descriptor) {
  if (static_cast<unsigned>(descriptor) >= kMaxDescriptors) return;
  constexpr std::size_t kBytes = kMaxDescriptors * sizeof(Connection);
  Connection* connections = __atomic_load_n(&connection_table.connections, __ATOMIC_ACQUIRE);
  if (connections == nullptr) {
    auto* const made = static_cast<Connection*>(MapPages(kBytes));
    if (made == nullptr) return;
    if (__atomic_compare_exchange_n(&connection_table.connections, &connections, made, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
      connections = made;
    } else {
      UnmapPages(made, kBytes);  // another thread was first
    }
  }
  connections[descriptor].Accept();
}

}  // namespace leaktrace::preload
