#include "analyzer/symbolize/symbol_table.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <tuple>

namespace leaktrace::symbolize {
namespace {

// No function without a size in its symbol is larger (hand-written assembly).
constexpr std::uint64_t kMaxUnsized = 16 << 10;

struct Found {
  Elf64_Sym symbol;
  std::string_view name;
};

std::string_view TextAt(const Bytes& table, std::uint64_t offset) {
  if (offset >= table.size()) return {};
  const char* text = reinterpret_cast<const char*>(table.data()) + offset;
  return {text, strnlen(text, table.size() - offset)};
}

bool IsFunction(const ElfFile& file, const Elf64_Sym& symbol) {
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  if (symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0) return false;
  if (type == STT_FUNC || type == STT_GNU_IFUNC) return true;
  // Labels of assembly have no type; only those in code are functions.
  return type == STT_NOTYPE && symbol.st_shndx < file.sections().size() &&
         (file.sections()[symbol.st_shndx].flags & SHF_EXECINSTR) != 0;
}

// Names that people write before those that compilers and assemblers make.
unsigned RankOf(const Elf64_Sym& symbol, std::string_view name) {
  const unsigned binding = ELF64_ST_BIND(symbol.st_info);
  const unsigned of_binding = binding == STB_GLOBAL ? 0 : binding == STB_WEAK ? 1 : 2;
  const bool made = name.substr(0, 2) == "__" || name.find('.') != std::string_view::npos;
  return (symbol.st_size == 0 ? 8 : 0) + of_binding * 2 + (made ? 1 : 0);
}

// Gives symbols without a size the range up to the next symbol of their section.
void SizeUnsized(const ElfFile& file, std::vector<Found>& found) {
  std::vector<std::uint64_t> begins;
  begins.reserve(found.size());
  for (const Found& f : found) begins.push_back(f.symbol.st_value);
  std::sort(begins.begin(), begins.end());
  for (Found& f : found) {
    if (f.symbol.st_size != 0 || f.symbol.st_shndx >= file.sections().size()) continue;
    const ElfSection& section = file.sections()[f.symbol.st_shndx];
    if (f.symbol.st_value < section.address || f.symbol.st_value - section.address >= section.size) continue;
    const std::uint64_t section_rest = section.size - (f.symbol.st_value - section.address);
    const auto next = std::upper_bound(begins.begin(), begins.end(), f.symbol.st_value);
    const std::uint64_t next_rest = next == begins.end() ? section_rest : *next - f.symbol.st_value;
    const std::uint64_t size = std::min(section_rest, next_rest);
    if (size <= kMaxUnsized) f.symbol.st_size = size;
  }
}

void Collect(const ElfFile& file, std::uint32_t type, std::deque<Bytes>& texts,
             std::vector<SymbolTable::Candidate>& candidates) {
  for (const ElfSection& section : file.sections()) {
    if (section.type != type || section.link >= file.sections().size()) continue;
    auto symbols = file.ReadSection(section);
    auto names = file.ReadSection(file.sections()[section.link]);
    if (!symbols.ok() || !names.ok()) continue;
    const Bytes& text = texts.emplace_back(*std::move(names));
    std::vector<Found> found;
    bool has_locals = false;
    for (std::size_t offset = 0; symbols->size() - offset >= sizeof(Elf64_Sym); offset += sizeof(Elf64_Sym)) {
      Found f;
      std::memcpy(&f.symbol, symbols->data() + offset, sizeof(Elf64_Sym));
      if (!IsFunction(file, f.symbol)) continue;
      f.name = TextAt(text, f.symbol.st_name);
      if (f.name.empty() || f.name[0] == '.' || f.name[0] == '$') continue;
      has_locals |= ELF64_ST_BIND(f.symbol.st_info) == STB_LOCAL;
      found.push_back(f);
    }
    if (type == SHT_SYMTAB && has_locals) SizeUnsized(file, found);
    for (const Found& f : found) {
      const std::uint64_t end = f.symbol.st_value + f.symbol.st_size;
      if (end <= f.symbol.st_value) continue;
      candidates.push_back({f.symbol.st_value, end, f.name, RankOf(f.symbol, f.name)});
    }
  }
}

}  // namespace

SymbolTable::SymbolTable(std::vector<Candidate> candidates) {
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.begin, a.rank, a.name) < std::tie(b.begin, b.rank, b.name);
  });
  candidates.erase(std::unique(candidates.begin(), candidates.end(),
                               [](const Candidate& a, const Candidate& b) { return a.begin == b.begin; }),
                   candidates.end());
  // `open` holds the candidates around the current address, the nearest last; a range is written whenever the nearest
  // one changes.
  std::vector<const Candidate*> open;
  std::uint64_t at = 0;
  const auto write = [&](std::uint64_t end) {
    const Candidate& nearest = *open.back();
    if (at < end) {
      ranges_.push_back(
          {at, end, static_cast<std::uint32_t>(names_.size()), static_cast<std::uint32_t>(nearest.name.size())});
      names_ += nearest.name;
    }
    at = end;
  };
  const auto close_before = [&](std::uint64_t limit) {
    while (!open.empty() && open.back()->end <= limit) {
      if (open.back()->end > at) write(open.back()->end);
      open.pop_back();
    }
  };
  for (const Candidate& candidate : candidates) {
    close_before(candidate.begin);
    if (!open.empty()) write(candidate.begin);
    at = candidate.begin;
    open.push_back(&candidate);
  }
  close_before(~0ull);
}

const SymbolRange* SymbolTable::Find(std::uint64_t address) const {
  auto range = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                [](std::uint64_t a, const SymbolRange& r) { return a < r.begin; });
  if (range == ranges_.begin()) return nullptr;
  --range;
  return address < range->end ? &*range : nullptr;
}

bool HasLocalSymbols(const ElfFile& file) {
  for (const ElfSection& section : file.sections()) {
    if (section.type != SHT_SYMTAB) continue;
    const auto symbols = file.ReadSection(section);
    if (!symbols.ok()) continue;
    for (std::size_t offset = 0; symbols->size() - offset >= sizeof(Elf64_Sym); offset += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, symbols->data() + offset, sizeof symbol);
      if (ELF64_ST_BIND(symbol.st_info) == STB_LOCAL && IsFunction(file, symbol)) return true;
    }
  }
  return false;
}

SymbolTable ReadSymbolTable(const ElfFile& file) {
  std::deque<Bytes> texts;
  std::vector<SymbolTable::Candidate> candidates;
  Collect(file, SHT_SYMTAB, texts, candidates);
  Collect(file, SHT_DYNSYM, texts, candidates);
  return SymbolTable(std::move(candidates));
}

}  // namespace leaktrace::symbolize
