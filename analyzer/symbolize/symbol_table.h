// The functions of a module by address: disjoint ranges with a name each.
// Immutable once built: any number of threads may ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analyzer/base/elf_file.h"

namespace leaktrace::symbolize {

struct SymbolRange {
  std::uint64_t begin = 0, end = 0;  // ELF addresses, half open
  std::uint32_t name = 0;            // where its name begins in the table's names
  std::uint32_t name_bytes = 0;
};

class SymbolTable {
 public:
  // A symbol as found, before overlaps are resolved. Of several at one place the one with the lowest rank is kept.
  struct Candidate {
    std::uint64_t begin = 0, end = 0;
    std::string_view name;
    unsigned rank = 0;
  };

  SymbolTable() = default;
  // Where candidates overlap, the one that begins last has the address: a label within a function is nearer than the
  // function.
  explicit SymbolTable(std::vector<Candidate> candidates);

  // The range that covers `address`; null if none does.
  const SymbolRange* Find(std::uint64_t address) const;
  std::string_view Name(const SymbolRange& range) const {
    return std::string_view(names_).substr(range.name, range.name_bytes);
  }
  const std::vector<SymbolRange>& ranges() const { return ranges_; }

 private:
  std::vector<SymbolRange> ranges_;  // sorted, disjoint
  std::string names_;
};

// Whether a file has the symbols of its local functions: nothing was stripped.
bool HasLocalSymbols(const ElfFile& file);

// The functions of .symtab, and of .dynsym. A symbol covers [value, value + size). One without a size covers up to the
// next symbol, but only in a .symtab that has local symbols: in what `strip` leaves, the next symbol can be far away.
SymbolTable ReadSymbolTable(const ElfFile& file);

}  // namespace leaktrace::symbolize
