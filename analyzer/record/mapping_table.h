// What is mapped in the target, as far as the trace saw it being mapped: disjoint ranges, each a part of a numbered
// mapping.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace leaktrace::record {

struct Mapping {
  std::uint64_t number = 0;
  std::uint64_t begin = 0, end = 0;
  std::uint32_t protection = 0, flags = 0;  // as passed to mmap
  std::uint64_t file_offset = ~0ull;        // of its first byte, ~0 = anonymous
};

class MappingTable {
 public:
  // Adds a mapping over a range that was cut before.
  void Add(const Mapping& mapping);

  // Takes [begin, end) out: what lay in it wholly is gone, what stuck out is cut or split. Appends the pieces that were
  // taken, in the order of addresses.
  void Cut(std::uint64_t begin, std::uint64_t end, std::vector<Mapping>& taken);

  // The pieces that lie in [begin, end), cut to it, without changing anything.
  void Overlapping(std::uint64_t begin, std::uint64_t end, std::vector<Mapping>& pieces) const;

  // The piece that holds this address; null where none does.
  [[nodiscard]] const Mapping* Find(std::uint64_t address) const;

  [[nodiscard]] std::uint64_t anonymous_bytes() const { return anonymous_bytes_; }
  [[nodiscard]] std::size_t size() const { return pieces_.size(); }

 private:
  using Pieces = std::map<std::uint64_t, Mapping>;

  [[nodiscard]] static Mapping Clip(const Mapping& piece, std::uint64_t begin, std::uint64_t end);
  void Count(const Mapping& piece, std::int64_t sign);
  // The first piece that ends after this address.
  [[nodiscard]] Pieces::const_iterator FirstAfter(std::uint64_t address) const;

  Pieces pieces_;  // by begin
  std::uint64_t anonymous_bytes_ = 0;
};

}  // namespace leaktrace::record
