#include "analyzer/model/stack_tree.h"

namespace leaktrace::model {

using format::FrameKind;
using format::FrameWord;

void StackTree::Add(FrameId id, FrameId caller, FrameKind kind, std::uint64_t value, std::uint32_t auxiliary) {
  if (id == 0 || id <= size()) return;
  while (size() + 1 < id) {
    callers_.push_back(0);
    values_.push_back(FrameWord::Pack(FrameKind::kBroken, 0));
    auxiliaries_.push_back(0);
  }
  callers_.push_back(caller < id ? caller : 0);
  values_.push_back(FrameWord::Pack(kind, value));
  auxiliaries_.push_back(auxiliary);
}

StackFrame StackTree::Get(FrameId id) const {
  const std::uint64_t word = values_[id - 1];
  return {.id = id,
          .caller = callers_[id - 1],
          .kind = FrameWord::Kind(word),
          .value = FrameWord::Value(word),
          .auxiliary = auxiliaries_[id - 1]};
}

std::vector<StackFrame> StackTree::Stack(FrameId innermost, std::size_t depth) const {
  std::vector<StackFrame> frames;
  for (FrameId id = innermost; id != 0 && id <= size() && frames.size() < depth; id = Caller(id)) {
    frames.push_back(Get(id));
  }
  return frames;
}

}  // namespace leaktrace::model
