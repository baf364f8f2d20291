// Finds the file that holds a module's debug information, when it is not in the module itself.
// Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analyzer/base/elf_file.h"

namespace leaktrace::symbolize {

struct DebugSearch {
  std::vector<std::string> directories;  // searched first; files there may have any name
  std::string system_directory = "/usr/lib/debug";
  bool debuginfod = false;
};

// Files that may hold symbols or DWARF of the module, best first; those of another build are left out. `file` is the
// module itself where it is at hand; `build_id` (bytes) is what the trace says of it, "" = it had none. Searched are,
// with the build-id as their key, the given folders and the system's; then the name in .gnu_debuglink beside the
// module, whose checksum must match where there is no build-id; then debuginfod-find(1), where that is allowed. `notes`
// gets a sentence for what was found but could not be used.
std::vector<ElfFile> FindDebugFiles(const std::string& module_path, const std::string& build_id, const ElfFile* file,
                                    const DebugSearch& search, std::vector<std::string>& notes);

// "588d7307..." of build-id bytes.
std::string HexBuildId(const std::string& build_id);

}  // namespace leaktrace::symbolize
