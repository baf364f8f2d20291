// Who refers to what: searches the bytes of the code without decoding them. That is fast enough for executables of 100
// MB, and with up to some ten thousand targets the chance that bytes of other meaning look like a reference is below
// one in an executable. Not thread-safe. The image must outlive it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "analyzer/symbolize/code_image.h"

namespace leaktrace::symbolize {

class CodeReferences {
 public:
  struct Reference {
    std::uint64_t site;  // of the operand in the code
    std::uint64_t target;
  };
  struct Branches {
    std::uint32_t calls = 0;
    std::uint32_t jumps = 0;  // conditional ones too
  };

  explicit CodeReferences(const CodeImage& image);

  // Whether a direct call goes to an address.
  bool IsCalled(std::uint64_t address) const;

  // Places that look like operands with one of the addresses, absolute (32 bits) or relative to the instruction; by
  // site.
  std::vector<Reference> OperandsOf(absl::Span<const std::uint64_t> targets) const;
  // How often each of the addresses of code is the target of a direct branch with a 32-bit displacement.
  absl::flat_hash_map<std::uint64_t, Branches> BranchesTo(absl::Span<const std::uint64_t> targets) const;
  // Which of the addresses are words of the data, by target; with the places of the words.
  absl::flat_hash_map<std::uint64_t, std::vector<std::uint64_t>> PointersTo(
      absl::Span<const std::uint64_t> targets) const;

 private:
  const CodeImage& image_;
  std::vector<bool> called_;  // by offset into the code
};

}  // namespace leaktrace::symbolize
