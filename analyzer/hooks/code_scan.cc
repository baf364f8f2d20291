#include "analyzer/hooks/code_scan.h"

#include <algorithm>
#include <cstring>

#include "absl/container/flat_hash_set.h"

namespace leaktrace::hooks {
namespace {

constexpr std::uint8_t kCall = 0xe8, kJump = 0xe9, kTwoByte = 0x0f;
constexpr std::size_t kBefore = 48,
                      kAfter = 32;    // bytes around a count's update in which the list's store is looked for
constexpr unsigned kMaxField = 0x80;  // the fields of a page lie in its first bytes

std::int32_t Signed32(const std::uint8_t* bytes) {
  std::int32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// A memory operand of the form disp8(%reg).
struct FieldOperand {
  unsigned base;  // number of the register
  unsigned displacement;
  std::size_t length;  // of ModRM, SIB and displacement
};

bool ParseField(absl::Span<const std::uint8_t> code, std::size_t at, bool extended, FieldOperand& out) {
  if (at + 3 > code.size() || (code[at] & 0xc0) != 0x40) return false;
  const bool sib = (code[at] & 7) == 4;
  if (sib && code[at + 1] != 0x24) return false;
  out = {(code[at] & 7u) | (extended ? 8u : 0u), code[at + (sib ? 2u : 1u)], sib ? 3u : 2u};
  return out.displacement < kMaxField;
}

// Whether the bytes around `at` hold `mov %reg, disp8(%base)` with a 64-bit register and another displacement.
bool HasStoreBeside(absl::Span<const std::uint8_t> code, std::size_t at, const FieldOperand& field) {
  const std::size_t first = at < kBefore ? 0 : at - kBefore;
  const std::size_t last = std::min(code.size() - 5, at + kAfter);
  for (std::size_t i = first; i < last; ++i) {
    if ((code[i] & 0xfa) != 0x48 || code[i + 1] != 0x89) continue;
    FieldOperand store;
    if (!ParseField(code, i + 2, (code[i] & 1) != 0, store)) continue;
    if (store.base == field.base && store.displacement != field.displacement && store.displacement % 8 == 0)
      return true;
  }
  return false;
}

// Whether an increment or decrement by one of a field lies at `at`: ff /0, ff /1, 83 /0 or /5 with 1 or -1.
bool ParseCountUpdate(absl::Span<const std::uint8_t> code, std::size_t at, FieldOperand& field) {
  const bool extended = at > 0 && (code[at - 1] & 0xf1) == 0x41;
  const unsigned extension = code[at + 1] >> 3 & 7;
  if (code[at] == 0xff) return extension <= 1 && ParseField(code, at + 1, extended, field);
  if ((extension != 0 && extension != 5) || !ParseField(code, at + 1, extended, field)) return false;
  const std::size_t immediate = at + 1 + field.length;
  return immediate < code.size() && (code[immediate] == 0x01 || code[immediate] == 0xff);
}

}  // namespace

CodeScan::CodeScan(const Image& image) : image_(image), call_targets_(image.text()), jump_targets_(image.text()) {
  const Region& text = image.text();
  const std::uint8_t* bytes = text.bytes.data();
  for (std::size_t i = 0; i + 5 <= text.bytes.size(); ++i) {
    if ((bytes[i] & 0xfe) != kCall) continue;
    const std::uint64_t target = text.address + i + 5 + static_cast<std::int64_t>(Signed32(bytes + i + 1));
    (bytes[i] == kCall ? call_targets_ : jump_targets_).Insert(target);
  }
}

bool CodeScan::IsJumpTarget(std::uint64_t address) const { return jump_targets_.Holds(address); }

bool CodeScan::IsCallTarget(std::uint64_t address) const { return call_targets_.Holds(address); }

std::vector<BranchSite> CodeScan::BranchesTo(absl::Span<const std::uint64_t> targets) const {
  const Region& text = image_.text();
  AddressSet wanted(text);
  for (const std::uint64_t target : targets) wanted.Insert(target);
  const bool has_stubs = !image_.stubs().empty();
  std::vector<BranchSite> sites;
  const std::uint8_t* bytes = text.bytes.data();
  for (std::size_t i = 0; i + 6 <= text.bytes.size(); ++i) {
    const std::uint8_t byte = bytes[i];
    const bool conditional = byte == kTwoByte && (bytes[i + 1] & 0xf0) == 0x80;
    if (byte != kCall && byte != kJump && !conditional) continue;
    const std::uint8_t length = conditional ? 6 : 5;
    std::uint64_t target = text.address + i + length + static_cast<std::int64_t>(Signed32(bytes + i + length - 4));
    if (has_stubs && !text.Holds(target)) target = image_.Resolve(target);
    if (wanted.Holds(target)) sites.push_back({text.address + i, target, byte == kCall, length});
  }
  return sites;
}

std::vector<std::uint64_t> CodeScan::CountUpdates() const {
  const Region& text = image_.text();
  const absl::Span<const std::uint8_t> code = text.bytes;
  std::vector<std::uint64_t> found;
  for (std::size_t i = 8; i + 16 < code.size(); ++i) {
    const std::uint8_t byte = code[i];
    FieldOperand field;
    if (byte == 0xff || byte == 0x83) {
      if (!ParseCountUpdate(code, i, field) || !HasStoreBeside(code, i, field)) continue;
      found.push_back(text.address + i);
    } else if (byte == 0x01 && code[i + 1] == 0 && code[i + 2] == 1 && code[i + 3] == 0) {
      found.push_back(text.address + i);
    }
  }
  return found;
}

std::vector<std::uint64_t> CodeScan::TakenAddresses(absl::Span<const std::uint64_t> addresses) const {
  absl::flat_hash_set<std::uint64_t> taken;
  if (addresses.empty()) return {};
  const Region& text = image_.text();
  AddressSet wanted(text);
  for (const std::uint64_t address : addresses) wanted.Insert(address);
  for (const Region& region : image_.data()) {
    for (std::size_t i = 0; i + 8 <= region.bytes.size(); i += 8) {
      std::uint64_t word;
      std::memcpy(&word, region.bytes.data() + i, sizeof word);
      if (wanted.Holds(word)) taken.insert(word);
    }
  }
  const std::uint8_t* bytes = text.bytes.data();
  for (std::size_t i = 2; i + 4 <= text.bytes.size(); ++i) {
    const std::int64_t value = Signed32(bytes + i);
    // lea disp32(%rip), %reg, and the 32-bit immediates of non-PIE code.
    if (bytes[i - 2] == 0x8d && (bytes[i - 1] & 0xc7) == 0x05 && wanted.Holds(text.address + i + 4 + value)) {
      taken.insert(text.address + i + 4 + value);
    } else if (value > 0 && wanted.Holds(static_cast<std::uint64_t>(value))) {
      taken.insert(static_cast<std::uint64_t>(value));
    }
  }
  std::vector<std::uint64_t> sorted(taken.begin(), taken.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::vector<std::uint64_t> CodeScan::References(std::uint64_t address) const {
  const Region& text = image_.text();
  std::vector<std::uint64_t> found;
  const std::uint8_t* bytes = text.bytes.data();
  for (std::size_t i = 1; i + 4 <= text.bytes.size(); ++i) {
    const std::int64_t value = Signed32(bytes + i);
    const bool relative = (bytes[i - 1] & 0xc7) == 0x05 && text.address + i + 4 + value == address;
    if (relative || (value > 0 && static_cast<std::uint64_t>(value) == address)) found.push_back(text.address + i + 4);
  }
  return found;
}

}  // namespace leaktrace::hooks
