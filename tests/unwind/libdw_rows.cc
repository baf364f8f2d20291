#include "tests/unwind/libdw_rows.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "absl/cleanup/cleanup.h"
#include "analyzer/unwind/row_table.h"
#include "gtest/gtest.h"

namespace leaktrace {
namespace {

using format::UnwindRow;
using format::UnwindRule;

constexpr int kRbp = 6, kReturnAddress = 16;

UnwindRow RowAt(const RowTable& table, std::uint64_t pc) {
  auto next = std::upper_bound(table.rows.begin(), table.rows.end(), pc,
                               [](std::uint64_t p, const UnwindRow& row) { return p < row.pc; });
  return next == table.rows.begin() ? UnwindRow{} : *(next - 1);
}

// What libdw says of the address, in the compact form.
UnwindRow Reference(Dwarf_CFI* cfi, std::uint64_t pc) {
  UnwindRow row{};
  Dwarf_Frame* frame = nullptr;
  if (dwarf_cfi_addrframe(cfi, pc, &frame) != 0) return row;
  const absl::Cleanup clean = [&] { std::free(frame); };
  row.rule = UnwindRule::kUnsupported;
  bool signal_frame = false;
  dwarf_frame_info(frame, nullptr, nullptr, &signal_frame);
  if (signal_frame) {
    row.rule = UnwindRule::kSignalFrame;
    return row;
  }
  Dwarf_Op memory[3];
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (dwarf_frame_register(frame, kReturnAddress, memory, &operations, &count) != 0) return row;
  if (count == 0 && operations == memory) {
    row.rule = UnwindRule::kEnd;
    return row;
  }
  // "The value at CFA + N" is call_frame_cfa [plus_uconst N]; libdw writes N as an unsigned number.
  const auto at_cfa = [&](std::int64_t& offset) {
    if (count == 0 || operations[0].atom != DW_OP_call_frame_cfa) return false;
    offset =
        count == 2 && operations[1].atom == DW_OP_plus_uconst ? static_cast<std::int64_t>(operations[1].number) : 0;
    return count <= 2;
  };
  std::int64_t return_offset = 0;
  if (!at_cfa(return_offset) || return_offset != -8) return row;
  if (dwarf_frame_cfa(frame, &operations, &count) != 0 || count != 1) return row;
  if (operations[0].atom != DW_OP_bregx && (operations[0].atom < DW_OP_breg0 || operations[0].atom > DW_OP_breg31))
    return row;
  const bool extended = operations[0].atom == DW_OP_bregx;
  const auto cfa_register = extended ? operations[0].number : operations[0].atom - DW_OP_breg0;
  const auto cfa_offset = static_cast<std::int64_t>(extended ? operations[0].number2 : operations[0].number);
  const bool large = cfa_offset != static_cast<std::int16_t>(cfa_offset);
  if (cfa_register != 7 && (cfa_register != 6 || large)) return row;
  if (dwarf_frame_register(frame, kRbp, memory, &operations, &count) != 0) return row;
  std::int64_t rbp_offset = 0;
  const bool same = count == 0;
  if (!same && (!at_cfa(rbp_offset) || rbp_offset == 0)) return row;
  row.rule = large ? UnwindRule::kRspWords : cfa_register == 7 ? UnwindRule::kRsp : UnwindRule::kRbp;
  row.cfa_offset = static_cast<std::int16_t>(large ? cfa_offset / 8 : cfa_offset);
  row.rbp_offset = static_cast<std::int8_t>(same ? 0 : rbp_offset / 8);
  return row;
}

std::string Describe(const UnwindRow& row) {
  return "rule " + std::to_string(static_cast<int>(row.rule)) + " cfa " + std::to_string(row.cfa_offset) + " rbp " +
         std::to_string(row.rbp_offset);
}

}  // namespace

void CompareWithLibdw(const std::string& path, int samples) {
  auto table = LoadRows(path, "");
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_FALSE(table->rows.empty());
  EXPECT_TRUE(std::is_sorted(table->rows.begin(), table->rows.end(), [](auto& a, auto& b) { return a.pc < b.pc; }));
  auto file = ElfFile::Open(path);
  ASSERT_TRUE(file.ok());

  elf_version(EV_CURRENT);
  const int descriptor = open(path.c_str(), O_RDONLY);
  Elf* elf = elf_begin(descriptor, ELF_C_READ_MMAP, nullptr);
  const absl::Cleanup clean = [&] {
    elf_end(elf);
    close(descriptor);
  };
  Dwarf_CFI* cfi = dwarf_getcfi_elf(elf);
  ASSERT_NE(cfi, nullptr) << dwarf_errmsg(-1);
  const absl::Cleanup clean_cfi = [&] { dwarf_cfi_end(cfi); };
  std::mt19937_64 random(42);
  int different = 0, unsupported = 0;
  const std::uint64_t first = table->rows.front().pc, last = table->rows.back().pc;
  for (int i = 0; i < samples; ++i) {
    const std::uint64_t pc =
        i % 2 == 0 ? first + random() % (last - first) : table->rows[random() % table->rows.size()].pc - i / 2 % 2;
    const UnwindRow ours = RowAt(*table, pc), reference = Reference(cfi, pc);
    unsupported += reference.rule == UnwindRule::kUnsupported;
    if (ours.rule == UnwindRule::kPlt || ours.rule == UnwindRule::kRbpDeref) {
      EXPECT_EQ(reference.rule, UnwindRule::kUnsupported) << std::hex << pc;
      continue;
    }
    if (Describe(ours) == Describe(reference)) continue;
    if (++different <= 5)
      ADD_FAILURE() << path << " at 0x" << std::hex << pc << ": " << Describe(ours)
                    << ", libdw: " << Describe(reference);
  }
  EXPECT_EQ(different, 0);
  EXPECT_LT(unsupported, samples / 20);
}

}  // namespace leaktrace
