// Which JavaScript runtime an executable is.
#pragma once

#include <string>

#include "analyzer/base/elf_file.h"

namespace leaktrace::record {

struct RuntimeVersion {
  std::string name = "native";  // "node", "bun" or "native"
  std::string version;          // "24.21.0"; "" where it is not known
};

// By what the file's read-only data says, not by its name: Node answers inspectors with "node.js/v24.21.0", Bun
// presents itself as "Bun v1.4.4 (Linux x64)". Reads all of the file's data, once per build: the answer is cached by
// build-id in the cache directory ("" = not).
[[nodiscard]] RuntimeVersion FindRuntimeVersion(const ElfFile& executable, const std::string& cache_directory);

// The same in bytes that were read already.
[[nodiscard]] RuntimeVersion FindRuntimeVersion(std::string_view data);

}  // namespace leaktrace::record
