// The modules of the target over time: which module an address belonged to when a frame was captured.
//
// Not safe for concurrent changes; const members may be called from several threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "analyzer/model/stack_tree.h"

namespace leaktrace::model {

struct Module {
  std::string path;
  std::string build_id;            // raw bytes, empty = none
  std::uint64_t load_address = 0;  // what is added to the ELF file's addresses
  std::uint64_t begin = 0, end = 0;
  std::uint64_t text_begin = 0, text_end = 0;
  std::uint64_t loaded_at = 0;     // ns since the start
  FrameId first_frame = 0;         // frames with this or a later id were captured after it was loaded ...
  FrameId end_frame = UINT32_MAX;  // ... and frames with this or a later id after it was unloaded
  std::uint32_t unwind_rows = 0;
  std::uint32_t unwind_unsupported = 0;
};

class ModuleTable {
 public:
  // In the order of the trace. A module over the range of an earlier one ends that one.
  void Load(Module module);
  void Unload(std::uint64_t load_address, FrameId first_frame);

  // In the order of loading; pointers and references are valid until the next Load.
  [[nodiscard]] absl::Span<const Module> modules() const { return modules_; }

  // The module that held `address` when `frame` was captured; null where none did (JIT code, anonymous memory).
  [[nodiscard]] const Module* Find(std::uint64_t address, FrameId frame) const;

  // The same for a frame: looks at the call instruction for return addresses. Null for frames that are no machine code
  // of a module.
  [[nodiscard]] const Module* Find(const StackFrame& frame) const;

 private:
  std::vector<Module> modules_;
};

// The address inside the instruction that a frame of machine code was executing: a return address points behind its
// call.
[[nodiscard]] std::uint64_t CodeAddress(const StackFrame& frame);

}  // namespace leaktrace::model
