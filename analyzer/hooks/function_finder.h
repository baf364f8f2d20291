// Where functions begin and end in code without symbols: from .eh_frame where there is one, else from who calls what
// and from padding.
//
// Not thread-safe; the image and the scan must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "analyzer/hooks/code_scan.h"
#include "analyzer/hooks/image.h"

namespace leaktrace::hooks {

struct Extent {
  std::uint64_t begin, end;
  [[nodiscard]] bool Holds(std::uint64_t address) const { return address >= begin && address < end; }
};

class FunctionFinder {
 public:
  FunctionFinder(const Image& image, const CodeScan& scan) : image_(image), scan_(scan) {}

  // The function whose code holds `address`; absent where none can be told.
  [[nodiscard]] std::optional<Extent> Containing(std::uint64_t address) const;
  // Whether a function begins at `address`: something calls it, or it is described, or it follows the end and padding
  // of another one.
  [[nodiscard]] bool IsStart(std::uint64_t address) const;

 private:
  [[nodiscard]] bool FollowsPadding(std::uint64_t address) const;
  [[nodiscard]] bool SetsUpFrame(std::uint64_t address) const;
  [[nodiscard]] bool FollowsEnd(std::uint64_t address) const;
  const Image& image_;
  const CodeScan& scan_;
};

}  // namespace leaktrace::hooks
