// Turns blocks of events into batches: kinds checked, sizes found, frees resolved to what they free.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/read/live_blocks.h"
#include "analyzer/read/trace_reader.h"
#include "analyzer/trace/column.h"
#include "analyzer/trace/definitions.h"
#include "analyzer/trace/event_block.h"

namespace leaktrace::read {

class EventDecoder {
 public:
  // The kinds that follow those of the calls before.
  void AddKinds(const trace::KindColumns& kinds);
  // As many kinds that follow are lost.
  void AddLostKinds(std::uint32_t count);

  // False when the block is damaged; then the batch is not to be used. The batch is valid until the next call.
  [[nodiscard]] bool Decode(format::trace::EventBlock::Reader block, trace::ColumnDecompressor& decompressor,
                            EventBatch& batch);

  [[nodiscard]] const LiveBlocks& live() const { return live_; }

 private:
  // True when the sizes of the block can be told apart: a lost kind may have one or not.
  [[nodiscard]] bool ResolveSizes();

  trace::EventColumns columns_;
  std::vector<std::uint64_t> kind_sizes_ = {kLost};  // by kind
  std::vector<std::uint64_t> sizes_, released_, released_sizes_;
  std::vector<std::uint32_t> released_kinds_;
  LiveBlocks live_;
  std::uint64_t next_allocation_ = 0;

  static constexpr std::uint64_t kVaries = ~std::uint64_t{0};
  static constexpr std::uint64_t kLost = ~std::uint64_t{0} - 1;
};

}  // namespace leaktrace::read
