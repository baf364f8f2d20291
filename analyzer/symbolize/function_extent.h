// Where a function ends, in code without symbols. Decodes from its first instruction on until no path leads further, so
// that an address is said to be of a function only if it is; where that cannot be told, the extent is too short rather
// than too long. Not thread-safe. Image and references must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/symbolize/code_image.h"
#include "analyzer/symbolize/code_references.h"

namespace leaktrace::symbolize {

struct FunctionExtent {
  std::uint64_t begin = 0, end = 0;       // half open
  std::vector<std::uint64_t> tail_jumps;  // targets of unconditional direct jumps that leave it
  bool Holds(std::uint64_t address) const { return address >= begin && address < end; }
};

class FunctionExtents {
 public:
  FunctionExtents(const CodeImage& image, const CodeReferences& references);
  ~FunctionExtents();

  // Of the function that begins at an address of the code.
  const FunctionExtent& From(std::uint64_t begin);
  // Of the function that an address is in; null where its beginning cannot be told.
  const FunctionExtent* Around(std::uint64_t address);

  // The function around `site`, if the four bytes there are the last operand of one of its instructions; null
  // otherwise.
  const FunctionExtent* WithOperand(std::uint64_t site);

  // Whether a function certainly begins at an address: it sets up a frame pointer, or is called and follows the end of
  // other code.
  bool IsStart(std::uint64_t address) const;

 private:
  class Decoder;
  FunctionExtent Decode(std::uint64_t begin);
  bool SetsUpFrame(std::uint64_t address) const;
  bool FollowsPadding(std::uint64_t address) const;

  const CodeImage& image_;
  const CodeReferences& references_;
  std::unique_ptr<Decoder> decoder_;
  absl::flat_hash_map<std::uint64_t, std::unique_ptr<FunctionExtent>> extents_;
  // The boundaries of the instructions of the function that WithOperand was last asked about: it is asked in the order
  // of addresses.
  const FunctionExtent* decoded_ = nullptr;
  std::vector<std::uint64_t> boundaries_;
};

}  // namespace leaktrace::symbolize
