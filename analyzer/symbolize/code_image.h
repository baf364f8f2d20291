// Code and data of an executable in memory, by ELF address, for looking into what was built without keeping symbols.
// Every read is bounded: what the file does not hold reads as absent. Immutable: any number of threads may read one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "analyzer/base/elf_file.h"

namespace leaktrace::symbolize {

class CodeImage {
 public:
  struct Region {
    std::uint64_t address = 0;
    Bytes bytes;
    bool Holds(std::uint64_t a) const { return a >= address && a - address < bytes.size(); }
    std::uint64_t end() const { return address + bytes.size(); }
  };

  // Errors: the file has no executable segment, or cannot be read.
  static absl::StatusOr<CodeImage> Load(const ElfFile& file);

  const Region& code() const { return code_; }               // the largest executable segment
  const std::vector<Region>& data() const { return data_; }  // the other segments; relative relocations are applied
  bool IsCode(std::uint64_t address) const { return code_.Holds(address); }

  // Code from an address to the end of the segment; empty outside of it.
  absl::Span<const std::uint8_t> CodeAt(std::uint64_t address) const;
  // Eight bytes, four bytes of data.
  std::optional<std::uint64_t> Word(std::uint64_t address) const;
  std::optional<std::uint32_t> HalfWord(std::uint64_t address) const;
  // The printable text that a NUL ends at an address of the data, at most `limit` long; "" if there is none.
  std::string_view Text(std::uint64_t address, std::size_t limit = 256) const;

 private:
  const Region* DataAt(std::uint64_t address) const;
  void ApplyRelocations(const ElfFile& file);

  Region code_;
  std::vector<Region> data_;
};

}  // namespace leaktrace::symbolize
