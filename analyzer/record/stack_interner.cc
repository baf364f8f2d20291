#include "analyzer/record/stack_interner.h"

namespace leaktrace::record {

using format::FrameWord;

std::uint32_t StackInterner::Intern(std::uint32_t parent, std::uint64_t word, std::uint32_t auxiliary,
                                    std::uint64_t identity, bool& added) {
  // An identity takes the place of the value, under the same kind, with an auxiliary that no frame has otherwise.
  Key key{word, std::uint64_t{parent} << 32 | auxiliary};
  if (identity != 0)
    key = {FrameWord::Pack(FrameWord::Kind(word), identity), std::uint64_t{parent} << 32 | 0xffff'ffffu};
  const auto [entry, inserted] = ids_.try_emplace(key, encoder_.next_id());
  added = inserted;
  if (inserted) {
    encoder_.Add(
        {.parent = parent, .kind = FrameWord::Kind(word), .value = FrameWord::Value(word), .auxiliary = auxiliary});
    nodes_.push_back({word, identity, parent, auxiliary});
  }
  return entry->second;
}

std::uint32_t StackInterner::Graft(std::uint32_t stack, std::uint32_t base) {
  std::vector<std::uint32_t> frames;
  for (std::uint32_t frame = stack; frame != 0; frame = nodes_[frame].parent) frames.push_back(frame);
  std::uint32_t grafted = base;
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    const Node node = nodes_[*frame];
    bool added = false;
    grafted = Intern(grafted, node.word, node.auxiliary, node.identity, added);
  }
  return grafted;
}

}  // namespace leaktrace::record
