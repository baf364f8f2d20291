#include "analyzer/unwind/row_table.h"

#include <elf.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "analyzer/unwind/cfa_program.h"
#include "analyzer/unwind/eh_frame.h"
#include "analyzer/unwind/row_cache.h"

namespace leaktrace {
namespace {

using format::UnwindRow;
using format::UnwindRule;

// .eh_frame as it lies in the file.
struct Section {
  std::uint64_t address = 0;
  std::uint64_t functions = std::numeric_limits<std::uint64_t>::max();  // no more than these are in it
  Bytes bytes;
};

// By section header, else by the header that the loader sees, which is all that a stripped file or a memory image may
// have. A file without section headers does not say where .eh_frame ends: its terminator does, or the number of
// functions in the header.
absl::StatusOr<Section> FindEhFrame(const ElfFile& file) {
  Section result;
  if (const ElfSection* section = file.FindSection(".eh_frame"); section != nullptr && section->type != SHT_NOBITS) {
    auto bytes = file.ReadSection(*section);
    if (!bytes.ok()) return bytes.status();
    result.address = section->address;
    result.bytes = *std::move(bytes);
    return result;
  }
  const ElfSegment* segment = file.FindSegment(PT_GNU_EH_FRAME);
  if (segment == nullptr) return result;
  auto header_bytes = file.ReadAddress(segment->address, std::min<std::uint64_t>(segment->file_size, 64));
  if (!header_bytes.ok()) return header_bytes.status();
  const EhFrameHeader header = ParseEhFrameHeader(*header_bytes, segment->address);
  if (header.eh_frame == 0) return result;
  auto bytes = file.ReadAddress(header.eh_frame, file.BytesFrom(header.eh_frame));
  if (!bytes.ok()) return bytes.status();
  result.address = header.eh_frame;
  if (header.functions != 0) result.functions = header.functions;
  result.bytes = *std::move(bytes);
  return result;
}

// Executable address ranges: what the linker dropped has function entries at address 0.
bool InText(const ElfFile& file, const FunctionEntry& function) {
  return std::any_of(file.segments().begin(), file.segments().end(), [&](const ElfSegment& segment) {
    return segment.type == PT_LOAD && (segment.flags & PF_X) != 0 && function.begin >= segment.address &&
           function.begin - segment.address < segment.memory_size;
  });
}

}  // namespace

absl::StatusOr<RowTable> BuildRows(const ElfFile& file) {
  auto section = FindEhFrame(file);
  if (!section.ok()) return section.status();
  const EhFrame frame = ParseEhFrame(section->bytes, section->address, section->functions);
  if (frame.damaged && frame.functions.empty()) {
    return absl::DataLossError(
        absl::StrCat(file.path(), ": .eh_frame is damaged: its code is unwound by frame pointers"));
  }
  std::vector<CfaProgram::State> initial;
  initial.reserve(frame.common.size());
  for (const CommonEntry& common : frame.common) initial.push_back(CfaProgram::Initial(common));

  RowTable table;
  table.rows.reserve(frame.functions.size() * 8);
  CfaProgram program(table.rows);
  std::uint64_t end = 0;
  for (const FunctionEntry& function : frame.functions) {
    if (function.begin < end || function.end > std::numeric_limits<std::uint32_t>::max() || !InText(file, function))
      continue;
    if (end != 0 && function.begin > end) program.Gap(end);
    program.Run(function, frame.common[function.common], initial[function.common]);
    end = function.end;
  }
  if (end != 0) program.Gap(end);
  table.unsupported = static_cast<std::uint32_t>(std::count_if(
      table.rows.begin(), table.rows.end(), [](const UnwindRow& row) { return row.rule == UnwindRule::kUnsupported; }));
  return table;
}

absl::StatusOr<RowTable> LoadRows(const std::string& path, const std::string& cache_directory) {
  auto file = ElfFile::Open(path);
  if (!file.ok()) return file.status();
  const std::optional<RowCacheEntry> cached = RowCacheEntry::For(*file, cache_directory);
  if (cached.has_value()) {
    if (std::optional<RowTable> table = cached->Read(); table.has_value()) return *std::move(table);
  }
  auto table = BuildRows(*file);
  if (table.ok() && cached.has_value()) cached->Write(*table);
  return table;
}

absl::StatusOr<RowTable> LoadRowsFromMemory(Bytes image) {
  auto file = ElfFile::FromMemory(std::move(image));
  if (!file.ok()) return file.status();
  return BuildRows(*file);
}

}  // namespace leaktrace
