#include "analyzer/symbolize/module_symbols.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "analyzer/symbolize/demangle.h"

namespace leaktrace::symbolize {
namespace {

bool HasDwarf(const ElfFile& file) {
  for (const char* name : {".debug_info", ".zdebug_info"}) {
    const ElfSection* section = file.FindSection(name);
    if (section != nullptr && section->size > 0) return true;
  }
  return false;
}

// The module itself, unless it is gone or was replaced by another build.
std::optional<ElfFile> OpenModule(const Module& module, std::vector<std::string>& notes) {
  if (module.path.empty() || module.path[0] != '/') return std::nullopt;  // [vdso], anonymous code
  auto file = ElfFile::Open(module.path);
  if (!file.ok()) {
    notes.push_back(absl::StrCat("no names from ", std::string(file.status().message())));
    return std::nullopt;
  }
  const std::string build_id(file->build_id().begin(), file->build_id().end());
  if (build_id != module.build_id) {
    notes.push_back(absl::StrCat(
        module.path, ": not used for names, it is of another build than the one that was recorded (build-id ",
        build_id.empty() ? "none" : HexBuildId(build_id), ", recorded ",
        module.build_id.empty() ? "none" : HexBuildId(module.build_id),
        "); give the recorded one's folder with --debug-dir"));
    return std::nullopt;
  }
  return *std::move(file);
}

}  // namespace

ModuleSymbols::ModuleSymbols(const Module& module, const Options& options, std::vector<KnownFunction> known,
                             std::vector<std::string>& notes)
    : full_names_(options.full_names), known_(std::move(known)), cache_directory_(options.cache_directory) {
  bool has_symbols = false;
  std::optional<ElfFile> file = OpenModule(module, notes);
  DebugSearch search;
  search.directories = options.debug_directories;
  search.debuginfod = options.debuginfod && !(file && HasDwarf(*file));
  for (const ElfFile& debug_file :
       FindDebugFiles(module.path, module.build_id, file ? &*file : nullptr, search, notes)) {
    if (HasDwarf(debug_file)) dwarf_paths_.push_back(debug_file.path());
    has_symbols |= HasLocalSymbols(debug_file);
    tables_.push_back(ReadSymbolTable(debug_file));
  }
  if (file) {
    if (HasDwarf(*file)) dwarf_paths_.push_back(file->path());
    tables_.push_back(ReadSymbolTable(*file));
    if (options.recover && !has_symbols && !HasLocalSymbols(*file)) stripped_ = std::move(file);
  }
}

std::string ModuleSymbols::Readable(std::string_view symbol) {
  auto [entry, added] = readable_.try_emplace(std::string(symbol));
  if (added) entry->second = full_names_ ? DemangleFull(symbol) : DemangleShort(symbol);
  return entry->second;
}

std::vector<Line> ModuleSymbols::Find(std::uint64_t address) {
  for (const std::string& path : std::exchange(dwarf_paths_, {})) {
    if (auto dwarf = DwarfInfo::Open(path)) dwarf_.push_back(std::move(dwarf));
  }
  std::vector<Line> lines;
  // DWARF has no linkage name for functions that are local to a file; the symbol of the outermost says more.
  bool plain_name = false;
  for (const auto& dwarf : dwarf_) {
    for (const SourceLine& source : dwarf->Find(address)) {
      Line& line = lines.emplace_back();
      line.function = Readable(source.function);
      plain_name = source.function.substr(0, 2) != "_Z" && source.function.substr(0, 2) != "_R";
      line.file = source.file;
      line.line = source.line;
      line.inlined = source.inlined;
      line.kind = LineKind::kNative;
    }
    if (!lines.empty()) break;
  }
  if (plain_name || lines.empty() || lines.back().inlined || lines.back().function.empty())
    AddFromSymbols(address, lines);
  if (lines.empty()) AddRecovered(address, lines);
  return lines;
}

void ModuleSymbols::AddRecovered(std::uint64_t address, std::vector<Line>& lines) {
  if (!stripped_) return;
  if (!recovered_) recovered_ = RecoveredNames::Load(*stripped_, known_, cache_directory_);
  const RecoveredFunction* function = recovered_->Find(address);
  if (function == nullptr) return;
  Line& line = lines.emplace_back();
  line.function = function->name;
  line.evidence = function->evidence;
  line.kind = LineKind::kRecovered;
}

void ModuleSymbols::AddFromSymbols(std::uint64_t address, std::vector<Line>& lines) {
  for (const SymbolTable& table : tables_) {
    const SymbolRange* range = table.Find(address);
    if (range == nullptr) continue;
    if (lines.empty() || lines.back().inlined) lines.emplace_back();
    lines.back().function = Readable(table.Name(*range));
    lines.back().kind = LineKind::kNative;
    return;
  }
}

}  // namespace leaktrace::symbolize
