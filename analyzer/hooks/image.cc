#include "analyzer/hooks/image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace leaktrace::hooks {
namespace {

// The encodings that every linker writes into .eh_frame_hdr: a table of (start, description) pairs, relative to the
// section.
constexpr std::uint8_t kTableEncoding = 0x3b;  // DW_EH_PE_datarel | DW_EH_PE_sdata4
constexpr std::uint8_t kCountEncoding = 0x03;  // DW_EH_PE_udata4

}  // namespace

absl::StatusOr<Image> Image::Load(const std::string& path) {
  auto file = ElfFile::Open(path);
  if (!file.ok()) return file.status();
  Image image;
  image.build_id_ = file->build_id();
  image.position_independent_ = file->type() == ET_DYN;
  const ElfSection* text_section = file->FindSection(".text");
  if (text_section != nullptr && text_section->type == SHT_NOBITS) text_section = nullptr;
  for (const ElfSegment& segment : file->segments()) {
    if (segment.type != PT_LOAD) continue;
    const bool executable = (segment.flags & PF_X) != 0;
    if (!executable) image.data_ranges_.emplace_back(segment.address, segment.address + segment.memory_size);
    if (segment.file_size == 0) continue;
    std::uint64_t offset = segment.offset, address = segment.address, size = segment.file_size;
    if (executable && text_section != nullptr && text_section->address >= address &&
        text_section->address + text_section->size <= address + size) {
      offset = text_section->offset, address = text_section->address, size = text_section->size;
    } else if (executable && !image.text_.bytes.empty()) {
      continue;
    }
    auto bytes = file->Read(offset, size);
    if (!bytes.ok()) return bytes.status();
    image.storage_.push_back(std::move(*bytes));
    const Region region{address, image.storage_.back()};
    if (executable) {
      image.text_ = region;
    } else {
      image.data_.push_back(region);
    }
  }
  image.ReadSymbols(*file);
  image.ReadStubs(*file);
  image.ReadDescribedStarts(*file);
  return image;
}

void Image::ReadSymbols(const ElfFile& file) {
  for (const ElfSection& section : file.sections()) {
    if ((section.type != SHT_SYMTAB && section.type != SHT_DYNSYM) || section.link >= file.sections().size()) continue;
    const auto table = file.ReadSection(section);
    const auto names = file.ReadSection(file.sections()[section.link]);
    if (!table.ok() || !names.ok()) continue;
    for (std::size_t at = 0; at + sizeof(Elf64_Sym) <= table->size(); at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, table->data() + at, sizeof symbol);
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_value == 0 || symbol.st_name >= names->size())
        continue;
      const auto* name = reinterpret_cast<const char*>(names->data()) + symbol.st_name;
      functions_.push_back(
          {symbol.st_value, symbol.st_size, std::string(name, strnlen(name, names->size() - symbol.st_name))});
    }
  }
  std::sort(functions_.begin(), functions_.end(), [](const Symbol& a, const Symbol& b) {
    return a.address != b.address ? a.address < b.address : a.name < b.name;
  });
  const auto same = [](const Symbol& a, const Symbol& b) { return a.address == b.address && a.name == b.name; };
  functions_.erase(std::unique(functions_.begin(), functions_.end(), same), functions_.end());
}

void Image::ReadStubs(const ElfFile& file) {
  const ElfSection* const relocations = file.FindSection(".rela.plt");
  if (relocations == nullptr || relocations->link >= file.sections().size()) return;
  const auto entries = file.ReadSection(*relocations);
  const auto symbols = file.ReadSection(file.sections()[relocations->link]);
  if (!entries.ok() || !symbols.ok()) return;
  absl::flat_hash_map<std::uint64_t, std::uint64_t> slots;  // of the global offset table -> function
  for (std::size_t at = 0; at + sizeof(Elf64_Rela) <= entries->size(); at += sizeof(Elf64_Rela)) {
    Elf64_Rela entry;
    std::memcpy(&entry, entries->data() + at, sizeof entry);
    const std::size_t symbol_at = ELF64_R_SYM(entry.r_info) * sizeof(Elf64_Sym);
    if (symbol_at + sizeof(Elf64_Sym) > symbols->size()) continue;
    Elf64_Sym symbol;
    std::memcpy(&symbol, symbols->data() + symbol_at, sizeof symbol);
    if (symbol.st_value != 0) slots[entry.r_offset] = symbol.st_value;
  }
  for (const ElfSection& section : file.sections()) {
    if (section.name != ".plt" && section.name != ".plt.sec") continue;
    const auto code = file.ReadSection(section);
    if (!code.ok()) continue;
    constexpr std::size_t kStub = 16, kJumpThroughSlot = 6;  // jmp *disp32(%rip)
    for (std::size_t at = 0; at + kJumpThroughSlot <= code->size(); ++at) {
      if ((*code)[at] != 0xff || (*code)[at + 1] != 0x25) continue;
      std::int32_t displacement;
      std::memcpy(&displacement, code->data() + at + 2, sizeof displacement);
      const auto slot = slots.find(section.address + at + kJumpThroughSlot + static_cast<std::int64_t>(displacement));
      if (slot != slots.end()) stubs_[(section.address + at) & ~(kStub - 1)] = slot->second;
    }
  }
}

std::string_view Image::TextAt(std::uint64_t address) const {
  constexpr std::size_t kLongest = 200;
  for (const Region& region : data_) {
    if (!region.Holds(address)) continue;
    const auto* const text = reinterpret_cast<const char*>(region.bytes.data() + (address - region.address));
    return {text, strnlen(text, std::min<std::size_t>(kLongest, region.end() - address))};
  }
  return {};
}

bool Image::HoldsData(std::uint64_t address) const {
  return std::any_of(data_ranges_.begin(), data_ranges_.end(),
                     [address](const auto& range) { return address >= range.first && address < range.second; });
}

void Image::ReadDescribedStarts(const ElfFile& file) {
  const ElfSegment* header = file.FindSegment(PT_GNU_EH_FRAME);
  if (header == nullptr || header->file_size < 12) return;
  const auto bytes = file.ReadAddress(header->address, header->file_size);
  if (!bytes.ok() || (*bytes)[2] != kCountEncoding || (*bytes)[3] != kTableEncoding) return;
  std::uint32_t count;
  std::memcpy(&count, bytes->data() + 8, sizeof count);
  for (std::size_t i = 0, at = 12; i < count && at + 8 <= bytes->size(); ++i, at += 8) {
    std::int32_t start;
    std::memcpy(&start, bytes->data() + at, sizeof start);
    described_starts_.push_back(header->address + static_cast<std::uint64_t>(static_cast<std::int64_t>(start)));
  }
  std::sort(described_starts_.begin(), described_starts_.end());
}

absl::Span<const std::uint8_t> Image::Code(std::uint64_t address, std::size_t size) const {
  if (!text_.Holds(address)) return {};
  return text_.bytes.subspan(address - text_.address, size);
}

std::optional<std::uint64_t> Image::Word(std::uint64_t address) const {
  for (const Region& region : data_) {
    if (!region.Holds(address) || region.end() - address < 8) continue;
    std::uint64_t word;
    std::memcpy(&word, region.bytes.data() + (address - region.address), sizeof word);
    return word;
  }
  return std::nullopt;
}

std::string Image::NameAt(std::uint64_t address) const {
  std::string names;
  auto it = std::lower_bound(functions_.begin(), functions_.end(), address,
                             [](const Symbol& symbol, std::uint64_t a) { return symbol.address < a; });
  for (; it != functions_.end() && it->address == address; ++it)
    absl::StrAppend(&names, names.empty() ? "" : " ", it->name);
  return names;
}

bool Image::HasText(std::string_view text) const {
  return std::any_of(data_.begin(), data_.end(), [text](const Region& region) {
    return memmem(region.bytes.data(), region.bytes.size(), text.data(), text.size()) != nullptr;
  });
}

}  // namespace leaktrace::hooks
