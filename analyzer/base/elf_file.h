// A view of one ELF file: its headers, and bounded reads of its contents.
//
// Guarantees
// - The file is untrusted: every offset, size and count is checked against the file's size before it is used; no read
// goes beyond the
//   file, no allocation is larger than the file.
// - Contents are read, not mapped: a file that is truncated meanwhile gives an error, never SIGBUS.
// - Only 64-bit little-endian x86-64 files are accepted.
// - Immutable once open; const members may be called by several threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace leaktrace {

using Bytes = std::vector<std::uint8_t>;

// A program header.
struct ElfSegment {
  std::uint32_t type;   // PT_*
  std::uint32_t flags;  // PF_*
  std::uint64_t offset, address, file_size, memory_size, alignment;
};

// A section header. `size` bytes lie at `offset` of the file unless the type is SHT_NOBITS.
struct ElfSection {
  std::string name;    // "" where the name table is missing or damaged
  std::uint32_t type;  // SHT_*
  std::uint32_t link, info;
  std::uint64_t flags, address, offset, size, entry_size;
};

class ElfFile {
 public:
  // Errors: NotFound or PermissionDenied where the file cannot be opened, InvalidArgument where it is no ELF file of
  // this kind.
  static absl::StatusOr<ElfFile> Open(const std::string& path);
  // `image` holds the whole file, as the vdso's pages do.
  static absl::StatusOr<ElfFile> FromMemory(Bytes image);

  ElfFile(ElfFile&&) noexcept;
  ElfFile& operator=(ElfFile&&) noexcept;
  ~ElfFile();

  [[nodiscard]] const std::string& path() const { return path_; }  // "[memory]" for FromMemory
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint16_t type() const { return type_; }  // ET_*
  [[nodiscard]] std::uint64_t entry() const { return entry_; }
  [[nodiscard]] const std::vector<ElfSegment>& segments() const { return segments_; }
  [[nodiscard]] const std::vector<ElfSection>& sections() const {
    return sections_;
  }                                                                       // empty in a file without section headers
  [[nodiscard]] const ElfSegment* FindSegment(std::uint32_t type) const;  // the first of that type, or null
  [[nodiscard]] const ElfSection* FindSection(std::string_view name) const;

  // The GNU build-id, empty where there is none.
  [[nodiscard]] const Bytes& build_id() const { return build_id_; }

  // Exactly `size` bytes at a file offset, at an address of a loaded segment (its part that is in the file), of a
  // section. Error: OutOfRange where the file does not hold them.
  absl::StatusOr<Bytes> Read(std::uint64_t offset, std::uint64_t size) const;
  absl::StatusOr<Bytes> ReadAddress(std::uint64_t address, std::uint64_t size) const;
  absl::StatusOr<Bytes> ReadSection(const ElfSection& section) const;

  // Bytes in the file from `address` to the end of its loaded segment; 0 where no segment holds it.
  [[nodiscard]] std::uint64_t BytesFrom(std::uint64_t address) const;

 private:
  class Source;
  explicit ElfFile(std::string path, std::unique_ptr<Source> source);
  absl::Status ReadHeaders();
  absl::Status ReadSegments(std::uint64_t offset, std::uint64_t count);
  void ReadSections(std::uint64_t offset, std::uint64_t count, std::uint64_t name_index);
  void ReadBuildId();
  [[nodiscard]] const ElfSegment* SegmentAt(std::uint64_t address) const;

  std::string path_;
  std::unique_ptr<Source> source_;
  std::uint64_t size_ = 0, entry_ = 0;
  std::uint16_t type_ = 0;
  std::vector<ElfSegment> segments_;
  std::vector<ElfSection> sections_;
  Bytes build_id_;
};

}  // namespace leaktrace
