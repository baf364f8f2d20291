// Numbers what allocations have in common: (stack, entry point, allocator, request phase, route) and, where it hardly
// varies, the size.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/trace/definitions.h"

namespace leaktrace::record {

// What tells the kinds of one stack apart, in one word: size:40 | entry point:6 | allocator:4 | request phase:4 |
// route:10.
class KindKey {
 public:
  static constexpr unsigned kRouteBits = 10;
  static constexpr std::uint32_t kMaxRoute = (1u << kRouteBits) - 1;

  constexpr KindKey() = default;
  constexpr KindKey(std::uint64_t size, unsigned entry, unsigned allocator, unsigned phase, std::uint32_t route)
      : word_(size << 24 | std::uint64_t{entry & 63} << 18 | std::uint64_t{allocator & 15} << 14 |
              std::uint64_t{phase & 15} << 10 | (route & kMaxRoute)) {}

  [[nodiscard]] constexpr std::uint64_t size() const { return word_ >> 24; }
  [[nodiscard]] constexpr std::uint32_t attributes() const { return static_cast<std::uint32_t>(word_) & 0xff'ffffu; }
  [[nodiscard]] constexpr trace::KindAttributes Unpack(std::uint8_t flags) const {
    return {static_cast<format::EntryPoint>((word_ >> 18) & 63), static_cast<std::uint8_t>((word_ >> 14) & 15),
            static_cast<format::RequestPhase>((word_ >> 10) & 15), flags};
  }
  [[nodiscard]] constexpr std::uint32_t route() const { return static_cast<std::uint32_t>(word_) & kMaxRoute; }

  friend constexpr bool operator==(const KindKey&, const KindKey&) = default;

 private:
  std::uint64_t word_ = 0;
};

struct InternedKind {
  std::uint32_t id = 0;
  bool size_varies = false;
};

// Where a site (a stack with its attributes) allocates more than a few sizes, one kind stands for all of them from then
// on. So the number of kinds is bounded by the number of sites. One thread.
class KindInterner {
 public:
  explicit KindInterner(trace::KindEncoder& encoder) : encoder_(encoder) {}

  InternedKind Intern(std::uint32_t stack, KindKey key);

  // For what has a size of its own each time, such as a mapping.
  std::uint32_t InternVarying(std::uint32_t stack, KindKey key);

 private:
  static constexpr std::size_t kSizesPerSite = 8;

  struct Site {
    std::uint32_t varying_kind = 0;  // not 0: stands for all sizes
    std::uint32_t count = 0;
    std::array<std::uint64_t, kSizesPerSite> sizes{};
    std::array<std::uint32_t, kSizesPerSite> kinds{};
  };

  Site& FindSite(std::uint32_t stack, KindKey key);

  trace::KindEncoder& encoder_;
  absl::flat_hash_map<std::uint64_t, std::uint32_t> sites_by_key_;  // stack:32 | attributes:24
  std::vector<Site> sites_;
};

}  // namespace leaktrace::record
