// Searches in the raw bytes of .text, without decoding it: fast enough for executables of 100 MB, at the price of
// matches that lie inside other instructions. So what is found is a candidate, to be decoded and judged by the caller.
//
// Not thread-safe (scratch tables); the image must outlive it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "analyzer/hooks/image.h"

namespace leaktrace::hooks {

// A direct branch: call rel32, jmp rel32 or jcc rel32.
struct BranchSite {
  std::uint64_t address, target;
  bool call;
  std::uint8_t length;
};

class CodeScan {
 public:
  explicit CodeScan(const Image& image);

  // Whether any call rel32 goes to `address`.
  [[nodiscard]] bool IsCallTarget(std::uint64_t address) const;
  // The same for jmp rel32.
  [[nodiscard]] bool IsJumpTarget(std::uint64_t address) const;

  // Branches to any of `targets`, straight or through the procedure linkage table, by address.
  [[nodiscard]] std::vector<BranchSite> BranchesTo(absl::Span<const std::uint64_t> targets) const;

  // Instructions that may be the update of a page's count of used blocks: an increment or decrement of a field, beside
  // a store to another field of the same register; or any use of the constant 0x10001 (mimalloc v3 counts two 16-bit
  // halves at once).
  [[nodiscard]] std::vector<std::uint64_t> CountUpdates() const;

  // Which of `addresses` occur as a pointer in the data, as an absolute 32-bit immediate, or as the target of a
  // RIP-relative operand.
  [[nodiscard]] std::vector<std::uint64_t> TakenAddresses(absl::Span<const std::uint64_t> addresses) const;

  // Addresses right after a RIP-relative operand, or an absolute 32-bit one, that refers to `address`.
  [[nodiscard]] std::vector<std::uint64_t> References(std::uint64_t address) const;

 private:
  // A set of text addresses, one bit each.
  class AddressSet {
   public:
    explicit AddressSet(const Region& text) : begin_(text.address), size_(text.bytes.size()), words_(size_ / 64 + 1) {}
    void Insert(std::uint64_t address) {
      if (address - begin_ < size_) words_[(address - begin_) / 64] |= 1ull << ((address - begin_) % 64);
    }
    [[nodiscard]] bool Holds(std::uint64_t address) const {
      return address - begin_ < size_ && (words_[(address - begin_) / 64] >> ((address - begin_) % 64) & 1) != 0;
    }

   private:
    std::uint64_t begin_, size_;
    std::vector<std::uint64_t> words_;
  };

  const Image& image_;
  AddressSet call_targets_, jump_targets_;
};

}  // namespace leaktrace::hooks
