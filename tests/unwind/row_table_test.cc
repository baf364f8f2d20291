#include "analyzer/unwind/row_table.h"

#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "absl/cleanup/cleanup.h"
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

// Compares at random addresses of the executable segments.
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
    // Half of the samples at the rows' own borders, where an error of one byte shows.
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

std::string LoadedPath(const char* name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (const auto slash = line.find('/'); slash != std::string::npos && line.find(name) != std::string::npos)
      return line.substr(slash);
  }
  return "";
}

TEST(RowTable, AgreesWithLibdwOnThisTest) { CompareWithLibdw("/proc/self/exe", 20000); }
TEST(RowTable, AgreesWithLibdwOnLibc) { CompareWithLibdw(LoadedPath("/libc.so"), 20000); }
TEST(RowTable, AgreesWithLibdwOnTheCppRuntime) { CompareWithLibdw(LoadedPath("/libstdc++.so"), 20000); }
TEST(RowTable, AgreesWithLibdwOnTheFileThatIsNamed) {
  const char* path = std::getenv("LEAKTRACE_TEST_ELF");
  if (path == nullptr) GTEST_SKIP() << "LEAKTRACE_TEST_ELF names no file";
  CompareWithLibdw(path, 100000);
}

Bytes Vdso() {
  const auto* image = reinterpret_cast<const std::uint8_t*>(getauxval(AT_SYSINFO_EHDR));
  if (image == nullptr) return {};
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof(header));
  return Bytes(image, image + header.e_shoff + std::size_t{header.e_shnum} * header.e_shentsize);
}

bool Same(const RowTable& a, const RowTable& b) {
  return a.unsupported == b.unsupported && a.rows.size() == b.rows.size() &&
         std::memcmp(a.rows.data(), b.rows.data(), a.rows.size() * sizeof(UnwindRow)) == 0;
}

TEST(RowTable, HoldsForTheKernelsImage) {
  const Bytes image = Vdso();
  if (image.empty()) GTEST_SKIP() << "the kernel maps no vdso";
  auto table = LoadRowsFromMemory(image);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_GT(table->rows.size(), 4u);
  // Without section headers the loader's header leads to the same rows.
  Bytes stripped = image;
  Elf64_Ehdr header;
  std::memcpy(&header, stripped.data(), sizeof(header));
  header.e_shoff = header.e_shnum = header.e_shstrndx = 0;
  std::memcpy(stripped.data(), &header, sizeof(header));
  auto by_header = LoadRowsFromMemory(stripped);
  ASSERT_TRUE(by_header.ok()) << by_header.status();
  EXPECT_TRUE(Same(*table, *by_header));
}

// Sorted and without duplicates, whatever the bytes were.
TEST(RowTable, SurvivesDamage) {
  const Bytes image = Vdso();
  if (image.empty()) GTEST_SKIP() << "the kernel maps no vdso";
  auto file = ElfFile::FromMemory(image);
  ASSERT_TRUE(file.ok());
  const ElfSection* section = file->FindSection(".eh_frame");
  ASSERT_NE(section, nullptr);
  std::mt19937_64 random(3);
  for (int round = 0; round < 20000; ++round) {
    Bytes damaged = image;
    for (std::uint64_t change = 0; change <= random() % 8; ++change) {
      damaged[section->offset + random() % section->size] = static_cast<std::uint8_t>(random());
    }
    auto table = LoadRowsFromMemory(damaged);
    if (!table.ok()) continue;
    for (std::size_t i = 1; i < table->rows.size(); ++i)
      ASSERT_LT(table->rows[i - 1].pc, table->rows[i].pc) << "round " << round;
  }
}

class RowCache : public testing::Test {
 protected:
  RowCache() : directory_(testing::TempDir() + "rows." + std::to_string(getpid())) {}
  ~RowCache() override { std::filesystem::remove_all(directory_); }

  std::string OnlyFile() {
    std::string found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      EXPECT_EQ(found, "");
      found = entry.path();
    }
    return found;
  }

  const std::string directory_;
};

TEST_F(RowCache, GivesWhatWasBuilt) {
  const std::string path = LoadedPath("/libc.so");
  auto built = LoadRows(path, directory_);
  ASSERT_TRUE(built.ok()) << built.status();
  const auto written = std::filesystem::last_write_time(OnlyFile());
  auto cached = LoadRows(path, directory_);
  ASSERT_TRUE(cached.ok()) << cached.status();
  EXPECT_TRUE(Same(*built, *cached));
  EXPECT_EQ(std::filesystem::last_write_time(OnlyFile()), written);
}

TEST_F(RowCache, IsReplacedWhereItIsDamaged) {
  const std::string path = LoadedPath("/libc.so");
  auto built = LoadRows(path, directory_);
  ASSERT_TRUE(built.ok()) << built.status();
  const std::string cache = OnlyFile();
  const auto size = std::filesystem::file_size(cache);
  for (const std::uint64_t position :
       {std::uint64_t{0}, std::uint64_t{8}, std::uint64_t{12}, std::uint64_t{16}, std::uint64_t{24}, size - 1}) {
    {
      std::fstream file(cache, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(static_cast<std::streamoff>(position));
      const char byte = static_cast<char>(file.get() ^ 0x40);
      file.seekp(static_cast<std::streamoff>(position));
      file.put(byte);
    }
    auto again = LoadRows(path, directory_);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(Same(*built, *again)) << "byte " << position;
  }
  std::filesystem::resize_file(cache, size / 2);
  auto again = LoadRows(path, directory_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(Same(*built, *again));
  EXPECT_EQ(std::filesystem::file_size(cache), size);
}

TEST_F(RowCache, IsNotNeeded) {
  auto table = LoadRows(LoadedPath("/libc.so"), "/proc/nowhere");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_FALSE(table->rows.empty());
}

}  // namespace
}  // namespace leaktrace
