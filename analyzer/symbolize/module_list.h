// Which module a frame's address was in when the frame was captured: modules come and go, and an address may be used
// again. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "analyzer/symbolize/symbolizer.h"

namespace leaktrace::symbolize {

class ModuleList {
 public:
  // In the order of the trace.
  void Add(Module module);

  // Index into modules() of the module that covered `address` when frame `frame_id` was captured. Threads' frames and
  // module records reach the trace in no strict order; so where no module was listed yet or any more, the one that ever
  // covered the address serves, if it is the only one.
  std::optional<std::size_t> Find(std::uint64_t address, std::uint32_t frame_id) const;

  const std::vector<Module>& modules() const { return modules_; }

 private:
  std::vector<Module> modules_;             // without the unloads
  std::vector<std::uint32_t> unloaded_at_;  // frame ids from which the module of the same index is gone; ~0 = never
};

}  // namespace leaktrace::symbolize
