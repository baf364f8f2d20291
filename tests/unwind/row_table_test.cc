#include "analyzer/unwind/row_table.h"

#include <elf.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "tests/unwind/libdw_rows.h"

namespace leaktrace {
namespace {

using format::UnwindRow;

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
