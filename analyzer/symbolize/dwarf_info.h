// Functions, inlined functions and source lines of a file's DWARF (versions 2 to 5), read by libdw.
// Damaged DWARF gives fewer lines. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace leaktrace::symbolize {

struct SourceLine {
  std::string function;    // linkage name where there is one, else the plain name; "" = only the line is known
  std::string file;        // "" = unknown
  std::uint32_t line = 0;  // 0 = unknown
  bool inlined = false;    // into the function of the next line
};

class DwarfInfo {
 public:
  // Null where the file has no DWARF with code ranges.
  static std::unique_ptr<DwarfInfo> Open(const std::string& path);
  ~DwarfInfo();
  DwarfInfo(const DwarfInfo&) = delete;
  DwarfInfo& operator=(const DwarfInfo&) = delete;

  // What the instruction at an ELF address belongs to, innermost inlined function first; empty where the DWARF does not
  // cover it.
  std::vector<SourceLine> Find(std::uint64_t address);

 private:
  class Impl;
  explicit DwarfInfo(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace leaktrace::symbolize
