// What discovery needs of an ELF file: its code and data in memory, where functions begin, and the symbols it has.
//
// Guarantees: immutable once loaded; every read is bounded, an address outside of what the file holds reads as absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "analyzer/base/elf_file.h"

namespace leaktrace::hooks {

// A run of bytes at an address of the file.
struct Region {
  std::uint64_t address;
  absl::Span<const std::uint8_t> bytes;
  [[nodiscard]] std::uint64_t end() const { return address + bytes.size(); }
  [[nodiscard]] bool Holds(std::uint64_t a) const { return a >= address && a < end(); }
};

struct Symbol {
  std::uint64_t address, size;
  std::string name;
};

class Image {
 public:
  // Errors: those of ElfFile::Open.
  static absl::StatusOr<Image> Load(const std::string& path);

  [[nodiscard]] const Region& text() const { return text_; }                         // .text, or the executable segment
  [[nodiscard]] const std::vector<Region>& data() const { return data_; }            // loaded, not executable
  [[nodiscard]] const std::vector<Symbol>& functions() const { return functions_; }  // sorted by address
  [[nodiscard]] const std::vector<std::uint64_t>& described_starts() const {
    return described_starts_;
  }  // of .eh_frame, sorted
  [[nodiscard]] const Bytes& build_id() const { return build_id_; }
  [[nodiscard]] bool position_independent() const { return position_independent_; }

  // The bytes from an address of .text on, at most `size` of them; empty outside of it.
  [[nodiscard]] absl::Span<const std::uint8_t> Code(std::uint64_t address, std::size_t size) const;
  // The eight bytes at an address of the data; absent where the file holds none.
  [[nodiscard]] std::optional<std::uint64_t> Word(std::uint64_t address) const;
  // The symbols at an address, "" where there is none.
  [[nodiscard]] std::string NameAt(std::uint64_t address) const;
  // Where a branch to `address` ends up: through the procedure linkage table, for a function that this file defines
  // itself.
  [[nodiscard]] std::uint64_t Resolve(std::uint64_t address) const {
    const auto it = stubs_.find(address);
    return it == stubs_.end() ? address : it->second;
  }
  // Stub address -> function of this file.
  [[nodiscard]] const absl::flat_hash_map<std::uint64_t, std::uint64_t>& stubs() const { return stubs_; }
  // The string at an address of the data, at most 200 bytes of it; "" where there is none.
  [[nodiscard]] std::string_view TextAt(std::uint64_t address) const;
  // Whether a loaded segment that is not executable holds the address, the part that the file leaves to be zeroed
  // included.
  [[nodiscard]] bool HoldsData(std::uint64_t address) const;
  // Whether a string of the read-only data contains `text`.
  [[nodiscard]] bool HasText(std::string_view text) const;

 private:
  void ReadSymbols(const ElfFile& file);
  void ReadStubs(const ElfFile& file);
  void ReadDescribedStarts(const ElfFile& file);

  std::vector<Bytes> storage_;
  Region text_{};
  std::vector<Region> data_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> data_ranges_;  // begin and end in memory
  std::vector<Symbol> functions_;
  std::vector<std::uint64_t> described_starts_;
  absl::flat_hash_map<std::uint64_t, std::uint64_t> stubs_;
  Bytes build_id_;
  bool position_independent_ = false;
};

}  // namespace leaktrace::hooks
