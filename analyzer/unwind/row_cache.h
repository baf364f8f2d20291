// A row table in the cache directory: one file per build-id, <directory>/<build-id>.rows.
//
// The file is checked before it is believed: version, size, CRC, and that it was made from the same code (a build-id is
// kept by tools that rewrite a binary, as patchelf does). What fails any check counts as absent and is replaced.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "analyzer/base/elf_file.h"
#include "analyzer/unwind/row_table.h"

namespace leaktrace {

class RowCacheEntry {
 public:
  // None where the directory is "", or the file has no build-id.
  static std::optional<RowCacheEntry> For(const ElfFile& file, const std::string& directory);

  [[nodiscard]] std::optional<RowTable> Read() const;
  // Errors are not reported: without a cache the next run takes longer, that is all.
  void Write(const RowTable& table) const;

 private:
  RowCacheEntry(std::string path, std::uint64_t code) : path_(std::move(path)), code_(code) {}

  std::string path_;
  std::uint64_t code_;  // checksum of the segments' layout
};

}  // namespace leaktrace
