#include "analyzer/base/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace leaktrace {
namespace {

constexpr std::uint64_t kMaxRead = 4ull << 30;  // no part of a real file is larger; a sparse file may claim anything

// True if [offset, offset + size) lies within [0, limit).
bool Within(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) {
  return offset <= limit && size <= limit - offset;
}

// The plain-data struct at `index` of a table of entries of at least its size.
template <typename T>
T Entry(const Bytes& table, std::uint64_t index, std::uint64_t stride) {
  T value;
  std::memcpy(&value, table.data() + index * stride, sizeof(T));
  return value;
}

}  // namespace

class ElfFile::Source {
 public:
  explicit Source(int descriptor) : descriptor_(descriptor) {}
  explicit Source(Bytes image) : image_(std::move(image)) {}
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  // Errno, 0 where all of it was read. The caller has checked the range against the size.
  int Read(std::uint64_t offset, std::uint8_t* out, std::uint64_t size) const {
    if (descriptor_ < 0) {
      std::copy_n(image_.begin() + static_cast<std::ptrdiff_t>(offset), size, out);
      return 0;
    }
    while (size > 0) {
      const ssize_t got = pread(descriptor_, out, size, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno;
      if (got == 0) return ENODATA;
      out += got;
      offset += static_cast<std::uint64_t>(got);
      size -= static_cast<std::uint64_t>(got);
    }
    return 0;
  }

 private:
  int descriptor_ = -1;
  Bytes image_;
};

ElfFile::ElfFile(std::string path, std::unique_ptr<Source> source)
    : path_(std::move(path)), source_(std::move(source)) {}
ElfFile::ElfFile(ElfFile&&) noexcept = default;
ElfFile& ElfFile::operator=(ElfFile&&) noexcept = default;
ElfFile::~ElfFile() = default;

absl::StatusOr<ElfFile> ElfFile::Open(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be opened"));
  ElfFile file(path, std::make_unique<Source>(descriptor));
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return absl::ErrnoToStatus(errno, path);
  if (!S_ISREG(status.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  file.size_ = static_cast<std::uint64_t>(status.st_size);
  if (absl::Status read = file.ReadHeaders(); !read.ok()) return read;
  return file;
}

absl::StatusOr<ElfFile> ElfFile::FromMemory(Bytes image) {
  const std::uint64_t size = image.size();
  ElfFile file("[memory]", std::make_unique<Source>(std::move(image)));
  file.size_ = size;
  if (absl::Status read = file.ReadHeaders(); !read.ok()) return read;
  return file;
}

absl::StatusOr<Bytes> ElfFile::Read(std::uint64_t offset, std::uint64_t size) const {
  if (!Within(offset, size, size_) || size > kMaxRead) {
    return absl::OutOfRangeError(absl::StrCat(path_, ": ", size, " bytes at byte ", offset, " are not in the file"));
  }
  Bytes bytes(size);
  if (const int error = source_->Read(offset, bytes.data(), size); error != 0) {
    return absl::ErrnoToStatus(error, absl::StrCat(path_, ": reading ", size, " bytes at byte ", offset));
  }
  return bytes;
}

const ElfSegment* ElfFile::SegmentAt(std::uint64_t address) const {
  for (const ElfSegment& segment : segments_) {
    if (segment.type == PT_LOAD && address >= segment.address && address - segment.address < segment.file_size)
      return &segment;
  }
  return nullptr;
}

absl::StatusOr<Bytes> ElfFile::ReadAddress(std::uint64_t address, std::uint64_t size) const {
  const ElfSegment* segment = SegmentAt(address);
  if (segment == nullptr || size > segment->file_size - (address - segment->address)) {
    return absl::OutOfRangeError(
        absl::StrCat(path_, ": ", size, " bytes at address 0x", absl::Hex(address), " are not in the file"));
  }
  return Read(segment->offset + (address - segment->address), size);
}

absl::StatusOr<Bytes> ElfFile::ReadSection(const ElfSection& section) const {
  if (section.type == SHT_NOBITS)
    return absl::OutOfRangeError(absl::StrCat(path_, ": section ", section.name, " is not in the file"));
  return Read(section.offset, section.size);
}

std::uint64_t ElfFile::BytesFrom(std::uint64_t address) const {
  const ElfSegment* segment = SegmentAt(address);
  return segment == nullptr ? 0 : segment->file_size - (address - segment->address);
}

const ElfSegment* ElfFile::FindSegment(std::uint32_t type) const {
  const auto found =
      std::find_if(segments_.begin(), segments_.end(), [&](const ElfSegment& s) { return s.type == type; });
  return found == segments_.end() ? nullptr : &*found;
}

const ElfSection* ElfFile::FindSection(std::string_view name) const {
  const auto found =
      std::find_if(sections_.begin(), sections_.end(), [&](const ElfSection& s) { return s.name == name; });
  return found == sections_.end() ? nullptr : &*found;
}

absl::Status ElfFile::ReadHeaders() {
  const auto refuse = [&](absl::string_view why) { return absl::InvalidArgumentError(absl::StrCat(path_, ": ", why)); };
  if (size_ < sizeof(Elf64_Ehdr)) return refuse("too short for an ELF file");
  auto bytes = Read(0, sizeof(Elf64_Ehdr));
  if (!bytes.ok()) return bytes.status();
  const auto header = Entry<Elf64_Ehdr>(*bytes, 0, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return refuse("not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != EM_X86_64) {
    return refuse("not an ELF file for x86-64");
  }
  type_ = header.e_type;
  entry_ = header.e_entry;

  // Counts that do not fit their 16 bits are in the first section header.
  std::uint64_t section_count = header.e_shnum, name_index = header.e_shstrndx, segment_count = header.e_phnum;
  const bool has_sections = header.e_shoff != 0 && header.e_shentsize == sizeof(Elf64_Shdr);
  if (has_sections && Within(header.e_shoff, sizeof(Elf64_Shdr), size_)) {
    if (auto first = Read(header.e_shoff, sizeof(Elf64_Shdr)); first.ok()) {
      const auto section = Entry<Elf64_Shdr>(*first, 0, 0);
      if (section_count == 0) section_count = section.sh_size;
      if (name_index == SHN_XINDEX) name_index = section.sh_link;
      if (segment_count == PN_XNUM) segment_count = section.sh_info;
    }
  }
  if (segment_count != 0) {
    if (header.e_phentsize != sizeof(Elf64_Phdr)) return refuse("its program headers have an unknown size");
    if (absl::Status read = ReadSegments(header.e_phoff, segment_count); !read.ok()) return read;
  }
  if (has_sections) ReadSections(header.e_shoff, section_count, name_index);
  ReadBuildId();
  return absl::OkStatus();
}

absl::Status ElfFile::ReadSegments(std::uint64_t offset, std::uint64_t count) {
  if (count > size_ / sizeof(Elf64_Phdr))
    return absl::InvalidArgumentError(absl::StrCat(path_, ": more program headers than fit it"));
  auto table = Read(offset, count * sizeof(Elf64_Phdr));
  if (!table.ok()) return absl::InvalidArgumentError(absl::StrCat(path_, ": its program headers lie outside of it"));
  segments_.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto header = Entry<Elf64_Phdr>(*table, i, sizeof(Elf64_Phdr));
    segments_.push_back({.type = header.p_type,
                         .flags = header.p_flags,
                         .offset = header.p_offset,
                         .address = header.p_vaddr,
                         .file_size = header.p_filesz,
                         .memory_size = header.p_memsz,
                         .alignment = header.p_align});
  }
  return absl::OkStatus();
}

// Sections are a help, not a need: a table that is damaged counts as absent.
void ElfFile::ReadSections(std::uint64_t offset, std::uint64_t count, std::uint64_t name_index) {
  if (count > size_ / sizeof(Elf64_Shdr)) return;
  auto table = Read(offset, count * sizeof(Elf64_Shdr));
  if (!table.ok()) return;
  Bytes names;
  if (name_index < count) {
    const auto header = Entry<Elf64_Shdr>(*table, name_index, sizeof(Elf64_Shdr));
    if (header.sh_type != SHT_NOBITS) {
      if (auto read = Read(header.sh_offset, header.sh_size); read.ok()) names = *std::move(read);
    }
  }
  sections_.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto header = Entry<Elf64_Shdr>(*table, i, sizeof(Elf64_Shdr));
    ElfSection section{.name = {},
                       .type = header.sh_type,
                       .link = header.sh_link,
                       .info = header.sh_info,
                       .flags = header.sh_flags,
                       .address = header.sh_addr,
                       .offset = header.sh_offset,
                       .size = header.sh_size,
                       .entry_size = header.sh_entsize};
    if (header.sh_name < names.size()) {
      const auto* begin = reinterpret_cast<const char*>(names.data()) + header.sh_name;
      section.name.assign(begin, strnlen(begin, names.size() - header.sh_name));
    }
    sections_.push_back(std::move(section));
  }
}

void ElfFile::ReadBuildId() {
  for (const ElfSegment& segment : segments_) {
    if (segment.type != PT_NOTE) continue;
    auto notes = Read(segment.offset, segment.file_size);
    if (!notes.ok()) continue;
    std::uint64_t position = 0;
    const std::uint64_t alignment = segment.alignment == 8 ? 8 : 4;
    const auto padded = [&](std::uint64_t value) { return (value + alignment - 1) & ~(alignment - 1); };
    while (Within(position, sizeof(Elf64_Nhdr), notes->size())) {
      Elf64_Nhdr note;
      std::memcpy(&note, notes->data() + position, sizeof(note));
      const std::uint64_t name = position + sizeof(note);
      const std::uint64_t description = padded(name + note.n_namesz);
      if (!Within(description, note.n_descsz, notes->size())) break;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes->data() + name, "GNU", 4) == 0) {
        build_id_.assign(notes->begin() + static_cast<std::ptrdiff_t>(description),
                         notes->begin() + static_cast<std::ptrdiff_t>(description + note.n_descsz));
        return;
      }
      position = padded(description + note.n_descsz);
    }
  }
}

}  // namespace leaktrace
