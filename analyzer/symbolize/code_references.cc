#include "analyzer/symbolize/code_references.h"

#include <algorithm>
#include <cstring>

#include "absl/container/flat_hash_set.h"

namespace leaktrace::symbolize {
namespace {

constexpr std::uint8_t kCall = 0xe8, kJump = 0xe9, kTwoBytes = 0x0f;

std::int64_t Displacement(const std::uint8_t* bytes) {
  std::int32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// A set of addresses that most addresses are found not to be in after two comparisons.
class TargetSet {
 public:
  explicit TargetSet(absl::Span<const std::uint64_t> targets) : set_(targets.begin(), targets.end()) {
    for (const std::uint64_t target : targets) {
      low_ = std::min(low_, target);
      high_ = std::max(high_, target);
    }
  }
  bool Holds(std::uint64_t address) const { return address >= low_ && address <= high_ && set_.contains(address); }

 private:
  std::uint64_t low_ = ~0ull, high_ = 0;
  absl::flat_hash_set<std::uint64_t> set_;
};

}  // namespace

CodeReferences::CodeReferences(const CodeImage& image) : image_(image), called_(image.code().bytes.size()) {
  const Bytes& bytes = image.code().bytes;
  for (std::size_t i = 0; i + 5 <= bytes.size(); ++i) {
    if (bytes[i] != kCall) continue;
    const std::uint64_t target = i + 5 + static_cast<std::uint64_t>(Displacement(&bytes[i + 1]));
    if (target < called_.size()) called_[target] = true;
  }
}

bool CodeReferences::IsCalled(std::uint64_t address) const {
  const std::uint64_t offset = address - image_.code().address;
  return offset < called_.size() && called_[offset];
}

std::vector<CodeReferences::Reference> CodeReferences::OperandsOf(absl::Span<const std::uint64_t> targets) const {
  const TargetSet wanted(targets);
  const CodeImage::Region& code = image_.code();
  std::vector<Reference> found;
  for (std::size_t i = 0; i + 4 <= code.bytes.size(); ++i) {
    const std::int64_t value = Displacement(&code.bytes[i]);
    const std::uint64_t relative = code.address + i + 4 + static_cast<std::uint64_t>(value);
    if (wanted.Holds(static_cast<std::uint64_t>(value)))
      found.push_back({code.address + i, static_cast<std::uint64_t>(value)});
    if (i > 0 && (code.bytes[i - 1] & 0xc7) == 0x05 && wanted.Holds(relative))
      found.push_back({code.address + i, relative});
  }
  return found;
}

absl::flat_hash_map<std::uint64_t, CodeReferences::Branches> CodeReferences::BranchesTo(
    absl::Span<const std::uint64_t> targets) const {
  const TargetSet wanted(targets);
  const CodeImage::Region& code = image_.code();
  absl::flat_hash_map<std::uint64_t, Branches> found;
  for (std::size_t i = 0; i + 6 <= code.bytes.size(); ++i) {
    const std::uint8_t first = code.bytes[i];
    const bool conditional = first == kTwoBytes && (code.bytes[i + 1] & 0xf0) == 0x80;
    if (first != kCall && first != kJump && !conditional) continue;
    const std::size_t operand = i + (conditional ? 2 : 1);
    const std::uint64_t target =
        code.address + operand + 4 + static_cast<std::uint64_t>(Displacement(&code.bytes[operand]));
    if (!wanted.Holds(target)) continue;
    Branches& branches = found[target];
    ++(first == kCall ? branches.calls : branches.jumps);
  }
  return found;
}

absl::flat_hash_map<std::uint64_t, std::vector<std::uint64_t>> CodeReferences::PointersTo(
    absl::Span<const std::uint64_t> targets) const {
  const TargetSet wanted(targets);
  absl::flat_hash_map<std::uint64_t, std::vector<std::uint64_t>> found;
  for (const CodeImage::Region& region : image_.data()) {
    for (std::size_t i = -region.address % 8; i + 8 <= region.bytes.size(); i += 8) {
      std::uint64_t word;
      std::memcpy(&word, &region.bytes[i], sizeof word);
      if (wanted.Holds(word)) found[word].push_back(region.address + i);
    }
  }
  return found;
}

}  // namespace leaktrace::symbolize
