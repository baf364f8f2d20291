// A read-only view of an x86-64 ELF file, mapped whole. Every offset and size of the file is checked before it is
// followed, so that any bytes at all can be opened: what is out of bounds is as if it were not there. Immutable: any
// number of threads may read one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace leaktrace::symbolize {

class ElfFile {
 public:
  struct Segment {  // PT_LOAD
    std::uint64_t address = 0;
    std::uint64_t memory_bytes = 0;
    std::uint32_t flags = 0;  // PF_*
    std::string_view bytes;   // those in the file
  };
  struct Section {
    std::string_view name;
    std::uint32_t type = 0;   // SHT_*
    std::uint64_t flags = 0;  // SHF_*
    std::uint64_t address = 0;
    std::uint64_t size = 0;
    std::uint32_t link = 0;  // index of the section that it refers to
    std::string_view bytes;  // "" for SHT_NOBITS and for what lies outside the file
  };
  struct DebugLink {
    std::string file;
    std::uint32_t crc = 0;  // of the whole debug file: the CRC-32 of zlib
  };

  // Fails for what is not a regular file, or not little-endian ELF for x86-64; the message names the path.
  static absl::StatusOr<std::shared_ptr<const ElfFile>> Open(const std::string& path);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  const std::string& path() const { return path_; }
  std::string_view bytes() const { return bytes_; }
  const std::string& build_id() const { return build_id_; }  // bytes; "" = none
  bool position_independent() const { return position_independent_; }
  const std::vector<Segment>& segments() const { return segments_; }
  const std::vector<Section>& sections() const { return sections_; }
  const Section* FindSection(std::string_view name) const;  // the first of that name; null if there is none
  std::optional<DebugLink> debug_link() const;

  // The file's bytes from a virtual address to the end of its segment; "" where there are none.
  std::string_view At(std::uint64_t address) const;
  std::optional<std::uint64_t> Word(std::uint64_t address) const;

 private:
  ElfFile() = default;
  void ReadSegments();
  void ReadSections();
  void ReadBuildId(std::string_view notes);

  std::string path_;
  std::string_view bytes_;
  std::string build_id_;
  bool position_independent_ = false;
  std::vector<Segment> segments_;
  std::vector<Section> sections_;
};

// "588d7307..." of build-id bytes.
std::string HexBuildId(std::string_view build_id);

}  // namespace leaktrace::symbolize
