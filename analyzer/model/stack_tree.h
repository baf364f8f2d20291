// The stacks of a trace as a tree: a frame and the frame of its caller. A stack is named by its innermost frame.
//
// Not safe for concurrent changes; const members may be called from several threads.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "format/ring.h"

namespace leaktrace::model {

using FrameId = std::uint32_t;  // from 1; 0 = none

struct StackFrame {
  FrameId id = 0;
  FrameId caller = 0;  // 0: outermost; always smaller than id
  format::FrameKind kind{};
  std::uint64_t value = 0;  // as FrameWord says, by kind
  std::uint32_t auxiliary = 0;
};

class StackTree {
 public:
  // Frames are appended in the order of their ids. Ids that the trace lost are filled with frames of kind kBroken and
  // no caller.
  void Add(FrameId id, FrameId caller, format::FrameKind kind, std::uint64_t value, std::uint32_t auxiliary);

  // Ids are 1 to size().
  [[nodiscard]] std::size_t size() const { return values_.size(); }
  // `id` is 1 to size().
  [[nodiscard]] StackFrame Get(FrameId id) const;
  [[nodiscard]] FrameId Caller(FrameId id) const { return callers_[id - 1]; }

  // The frames of a stack, innermost first; empty for 0. At most `depth` of them.
  [[nodiscard]] std::vector<StackFrame> Stack(FrameId innermost, std::size_t depth = SIZE_MAX) const;

 private:
  std::vector<FrameId> callers_;
  std::vector<std::uint64_t> values_;  // FrameWord
  std::vector<std::uint32_t> auxiliaries_;
};

}  // namespace leaktrace::model
