// What is known of one module's code: its symbols, its debug information, and the functions that were recovered where
// it is stripped. Files are opened when the module is made, DWARF is read when it is first asked for. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/symbolize/debug_files.h"
#include "analyzer/symbolize/dwarf_info.h"
#include "analyzer/symbolize/recovered_names.h"
#include "analyzer/symbolize/symbol_table.h"
#include "analyzer/symbolize/symbolizer.h"

namespace leaktrace::symbolize {

class ModuleSymbols {
 public:
  // `known` are functions of the module that something else found. `notes` gets a sentence for each file that is
  // missing or of another build.
  ModuleSymbols(const Module& module, const Options& options, std::vector<KnownFunction> known,
                std::vector<std::string>& notes);

  // The lines at an address of the module (ELF addresses) that lies in the instruction asked for; empty where nothing
  // is known. Only what names need is filled in: function, file, line, kind, inlined, evidence.
  std::vector<Line> Find(std::uint64_t address);

 private:
  // The symbol at an address as the function of the outermost line, which is added where it is missing.
  void AddFromSymbols(std::uint64_t address, std::vector<Line>& lines);
  void AddRecovered(std::uint64_t address, std::vector<Line>& lines);
  std::string Readable(std::string_view symbol);

  const bool full_names_;
  std::vector<SymbolTable> tables_;       // best first
  std::vector<std::string> dwarf_paths_;  // not opened yet, best first
  std::vector<std::unique_ptr<DwarfInfo>> dwarf_;
  absl::flat_hash_map<std::string, std::string> readable_;  // by symbol
  std::vector<KnownFunction> known_;
  std::string cache_directory_;
  std::optional<ElfFile> stripped_;  // whose names are to be recovered
  std::optional<RecoveredNames> recovered_;
};

}  // namespace leaktrace::symbolize
