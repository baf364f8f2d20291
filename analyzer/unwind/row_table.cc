#include "analyzer/unwind/row_table.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <iterator>
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

bool Covers(const std::vector<UnwindRow>& rows, std::uint64_t address) {
  const auto next = std::upper_bound(rows.begin(), rows.end(), address,
                                     [](std::uint64_t a, const UnwindRow& row) { return a < row.pc; });
  return next != rows.begin() && std::prev(next)->rule != UnwindRule::kNoRow;
}

// Signal handlers return to a function of libc that is known by its code: mov $15 (rt_sigreturn), %rax; syscall. glibc
// describes it in .eh_frame, musl does not. A libc is small: files that are not are left alone.
void AddSignalReturn(const ElfFile& file, std::vector<UnwindRow>& rows) {
  constexpr std::array<std::uint8_t, 9> kCode = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
  constexpr std::uint64_t kMostText = 4 << 20;
  for (const ElfSegment& segment : file.segments()) {
    if (segment.type != PT_LOAD || (segment.flags & PF_X) == 0 || segment.file_size > kMostText) continue;
    const auto text = file.Read(segment.offset, segment.file_size);
    if (!text.ok()) continue;
    const auto found = std::search(text->begin(), text->end(), kCode.begin(), kCode.end());
    if (found == text->begin() || found == text->end()) continue;
    const std::uint64_t address = segment.address + static_cast<std::uint64_t>(found - text->begin());
    if (address + kCode.size() > std::numeric_limits<std::uint32_t>::max() || Covers(rows, address) ||
        Covers(rows, address - 1))
      continue;
    // From one byte before: a return address is looked up by the byte before it.
    const auto begin = static_cast<std::uint32_t>(address - 1),
               end = static_cast<std::uint32_t>(address + kCode.size());
    const auto place = std::lower_bound(rows.begin(), rows.end(), begin,
                                        [](const UnwindRow& row, std::uint32_t pc) { return row.pc < pc; });
    if (place != rows.end() && place->pc <= end) continue;
    const std::array<UnwindRow, 2> added = {
        UnwindRow{.pc = begin, .rule = UnwindRule::kSignalFrame, .rbp_offset = 0, .cfa_offset = 0},
        UnwindRow{.pc = end, .rule = UnwindRule::kNoRow, .rbp_offset = 0, .cfa_offset = 0}};
    rows.insert(place, added.begin(), added.end());
  }
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
  AddSignalReturn(file, table.rows);
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
