#include "analyzer/symbolize/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace leaktrace::symbolize {
namespace {

constexpr std::size_t kMaxHeaders = 1 << 16;

// A struct from anywhere in a string; nullopt if it does not fit.
template <typename T>
std::optional<T> Read(std::string_view bytes, std::uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

std::string_view Part(std::string_view bytes, std::uint64_t offset, std::uint64_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return {};
  return bytes.substr(offset, size);
}

std::string_view TextAt(std::string_view table, std::uint64_t offset) {
  if (offset >= table.size()) return {};
  const std::string_view rest = table.substr(offset);
  return rest.substr(0, rest.find('\0'));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ElfFile>> ElfFile::Open(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, path);
  const absl::Cleanup close_descriptor = [descriptor] { close(descriptor); };
  struct stat status;
  if (fstat(descriptor, &status) != 0) return absl::ErrnoToStatus(errno, path);
  if (!S_ISREG(status.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < sizeof(Elf64_Ehdr)) return absl::InvalidArgumentError(absl::StrCat(path, ": not an ELF file"));
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) return absl::ErrnoToStatus(errno, path);

  std::shared_ptr<ElfFile> file(new ElfFile);
  file->path_ = path;
  file->bytes_ = {static_cast<const char*>(address), size};
  const auto header = *Read<Elf64_Ehdr>(file->bytes_, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not an ELF file"));
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != EM_X86_64) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not an ELF file for x86-64"));
  }
  file->position_independent_ = header.e_type == ET_DYN;
  file->ReadSegments();
  file->ReadSections();
  return file;
}

ElfFile::~ElfFile() { munmap(const_cast<char*>(bytes_.data()), bytes_.size()); }

void ElfFile::ReadSegments() {
  const auto header = *Read<Elf64_Ehdr>(bytes_, 0);
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    const auto program = Read<Elf64_Phdr>(bytes_, header.e_phoff + i * sizeof(Elf64_Phdr));
    if (!program) return;
    if (program->p_type == PT_LOAD) {
      segments_.push_back({program->p_vaddr, program->p_memsz, program->p_flags,
                           Part(bytes_, program->p_offset, std::min(program->p_filesz, program->p_memsz))});
    } else if (program->p_type == PT_NOTE) {
      ReadBuildId(Part(bytes_, program->p_offset, program->p_filesz));
    }
  }
}

void ElfFile::ReadSections() {
  const auto header = *Read<Elf64_Ehdr>(bytes_, 0);
  std::vector<Elf64_Shdr> headers;
  // More sections than a 16-bit number holds: the count is in the first section's size (gABI, "ELF header").
  std::uint64_t count = header.e_shnum;
  std::uint64_t names_index = header.e_shstrndx;
  if (const auto first = Read<Elf64_Shdr>(bytes_, header.e_shoff); header.e_shoff != 0 && first) {
    if (count == 0) count = first->sh_size;
    if (names_index == SHN_XINDEX) names_index = first->sh_link;
  }
  for (std::uint64_t i = 0; header.e_shoff != 0 && i < std::min<std::uint64_t>(count, kMaxHeaders); ++i) {
    const auto section = Read<Elf64_Shdr>(bytes_, header.e_shoff + i * sizeof(Elf64_Shdr));
    if (!section) break;
    headers.push_back(*section);
  }
  std::string_view names;
  if (names_index < headers.size()) names = Part(bytes_, headers[names_index].sh_offset, headers[names_index].sh_size);
  for (const Elf64_Shdr& section : headers) {
    sections_.push_back(
        {TextAt(names, section.sh_name), section.sh_type, section.sh_flags, section.sh_addr, section.sh_size,
         section.sh_link,
         section.sh_type == SHT_NOBITS ? std::string_view() : Part(bytes_, section.sh_offset, section.sh_size)});
    // A file of debug information alone keeps its notes as sections; its segments have no bytes.
    if (section.sh_type == SHT_NOTE) ReadBuildId(sections_.back().bytes);
  }
}

void ElfFile::ReadBuildId(std::string_view notes) {
  std::uint64_t offset = 0;
  while (build_id_.empty()) {
    const auto note = Read<Elf64_Nhdr>(notes, offset);
    if (!note) return;
    const std::uint64_t name = offset + sizeof(Elf64_Nhdr);
    const std::uint64_t description = name + ((std::uint64_t{note->n_namesz} + 3) & ~3ull);
    if (note->n_type == NT_GNU_BUILD_ID && Part(notes, name, note->n_namesz) == std::string_view("GNU", 4) &&
        note->n_descsz <= 64) {
      build_id_ = std::string(Part(notes, description, note->n_descsz));
    }
    offset = description + ((std::uint64_t{note->n_descsz} + 3) & ~3ull);
  }
}

const ElfFile::Section* ElfFile::FindSection(std::string_view name) const {
  for (const Section& section : sections_) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

std::optional<ElfFile::DebugLink> ElfFile::debug_link() const {
  const Section* section = FindSection(".gnu_debuglink");
  if (section == nullptr) return std::nullopt;
  const std::string_view name = TextAt(section->bytes, 0);
  const auto crc = Read<std::uint32_t>(section->bytes, (name.size() + 4) & ~3ull);
  // A name with a slash could lead out of the folders that are searched.
  if (name.empty() || name.find('/') != std::string_view::npos || !crc) return std::nullopt;
  return DebugLink{std::string(name), *crc};
}

std::string_view ElfFile::At(std::uint64_t address) const {
  for (const Segment& segment : segments_) {
    if (address >= segment.address && address - segment.address < segment.bytes.size()) {
      return segment.bytes.substr(address - segment.address);
    }
  }
  return {};
}

std::optional<std::uint64_t> ElfFile::Word(std::uint64_t address) const { return Read<std::uint64_t>(At(address), 0); }

std::string HexBuildId(std::string_view build_id) { return absl::BytesToHexString({build_id.data(), build_id.size()}); }

}  // namespace leaktrace::symbolize
