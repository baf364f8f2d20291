#include "analyzer/symbolize/code_image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace leaktrace::symbolize {
namespace {

template <typename T>
std::optional<T> Read(const CodeImage::Region* region, std::uint64_t address) {
  if (region == nullptr || region->end() - address < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, region->bytes.data() + (address - region->address), sizeof(T));
  return value;
}

}  // namespace

absl::StatusOr<CodeImage> CodeImage::Load(const ElfFile& file) {
  CodeImage image;
  const ElfSegment* code = nullptr;
  for (const ElfSegment& segment : file.segments()) {
    const bool executable = segment.type == PT_LOAD && (segment.flags & PF_X) != 0;
    if (executable && (code == nullptr || segment.file_size > code->file_size)) code = &segment;
  }
  if (code == nullptr) return absl::InvalidArgumentError(absl::StrCat(file.path(), ": has no executable segment"));
  for (const ElfSegment& segment : file.segments()) {
    if (segment.type != PT_LOAD || segment.file_size == 0) continue;
    auto bytes = file.Read(segment.offset, segment.file_size);
    if (!bytes.ok()) return bytes.status();
    Region region{segment.address, *std::move(bytes)};
    if (&segment == code) {
      image.code_ = std::move(region);
    } else {
      image.data_.push_back(std::move(region));
    }
  }
  image.ApplyRelocations(file);
  return image;
}

// In position-independent files the pointers of the data are relocations.
void CodeImage::ApplyRelocations(const ElfFile& file) {
  for (const ElfSection& section : file.sections()) {
    if (section.type != SHT_RELA) continue;
    const auto table = file.ReadSection(section);
    if (!table.ok()) continue;
    for (std::size_t offset = 0; table->size() - offset >= sizeof(Elf64_Rela); offset += sizeof(Elf64_Rela)) {
      Elf64_Rela relocation;
      std::memcpy(&relocation, table->data() + offset, sizeof relocation);
      if (ELF64_R_TYPE(relocation.r_info) != R_X86_64_RELATIVE) continue;
      for (Region& region : data_) {
        if (!region.Holds(relocation.r_offset) || region.end() - relocation.r_offset < 8) continue;
        std::memcpy(region.bytes.data() + (relocation.r_offset - region.address), &relocation.r_addend, 8);
      }
    }
  }
}

absl::Span<const std::uint8_t> CodeImage::CodeAt(std::uint64_t address) const {
  if (!code_.Holds(address)) return {};
  return absl::Span<const std::uint8_t>(code_.bytes).subspan(address - code_.address);
}

const CodeImage::Region* CodeImage::DataAt(std::uint64_t address) const {
  for (const Region& region : data_) {
    if (region.Holds(address)) return &region;
  }
  return nullptr;
}

std::optional<std::uint64_t> CodeImage::Word(std::uint64_t address) const {
  return Read<std::uint64_t>(DataAt(address), address);
}

std::optional<std::uint32_t> CodeImage::HalfWord(std::uint64_t address) const {
  return Read<std::uint32_t>(DataAt(address), address);
}

std::string_view CodeImage::Text(std::uint64_t address, std::size_t limit) const {
  const Region* region = DataAt(address);
  if (region == nullptr) return {};
  const char* begin = reinterpret_cast<const char*>(region->bytes.data()) + (address - region->address);
  const std::size_t available = std::min<std::size_t>(limit + 1, region->end() - address);
  const std::size_t length = strnlen(begin, available);
  if (length == available) return {};
  const std::string_view text(begin, length);
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; }) ? text : std::string_view();
}

}  // namespace leaktrace::symbolize
