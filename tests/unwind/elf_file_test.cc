#include "analyzer/base/elf_file.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include <cstring>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace leaktrace {
namespace {

std::string SelfPath() { return "/proc/self/exe"; }

TEST(ElfFile, ReadsItsOwnHeadersAndSections) {
  auto file = ElfFile::Open(SelfPath());
  ASSERT_TRUE(file.ok()) << file.status();
  const ElfSection* text = file->FindSection(".text");
  ASSERT_NE(text, nullptr);
  auto by_section = file->ReadSection(*text);
  auto by_address = file->ReadAddress(text->address, text->size);
  ASSERT_TRUE(by_section.ok()) << by_section.status();
  ASSERT_TRUE(by_address.ok()) << by_address.status();
  EXPECT_EQ(*by_section, *by_address);
  EXPECT_NE(file->FindSegment(PT_GNU_EH_FRAME), nullptr);
  EXPECT_GE(file->BytesFrom(text->address), text->size);
}

TEST(ElfFile, RefusesRangesThatTheFileDoesNotHold) {
  auto file = ElfFile::Open(SelfPath());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_FALSE(file->Read(file->size(), 1).ok());
  EXPECT_FALSE(file->Read(~0ull, 2).ok());
  EXPECT_FALSE(file->Read(1, ~0ull).ok());
  EXPECT_FALSE(file->ReadAddress(~0ull - 4, 8).ok());
  EXPECT_TRUE(file->Read(file->size(), 0).ok());
}

TEST(ElfFile, RefusesWhatIsNoElfFile) {
  EXPECT_FALSE(ElfFile::Open("/proc/self/cmdline").ok());
  EXPECT_FALSE(ElfFile::Open("/nonexistent").ok());
  EXPECT_FALSE(ElfFile::Open("/").ok());
  EXPECT_FALSE(ElfFile::FromMemory({}).ok());
  EXPECT_FALSE(ElfFile::FromMemory(Bytes(64, 0x7f)).ok());
}

TEST(ElfFile, ReadsTheKernelsImage) {
  const auto* image = reinterpret_cast<const std::uint8_t*>(getauxval(AT_SYSINFO_EHDR));
  if (image == nullptr) GTEST_SKIP() << "the kernel maps no vdso";
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof(header));
  const std::size_t size = header.e_shoff + std::size_t{header.e_shnum} * header.e_shentsize;
  auto file = ElfFile::FromMemory(Bytes(image, image + size));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_NE(file->FindSegment(PT_GNU_EH_FRAME), nullptr);
}

// Every field of the headers set to extreme values, one after the other: an error or a view whose reads stay inside.
TEST(ElfFile, SurvivesDamagedHeaders) {
  const auto* image = reinterpret_cast<const std::uint8_t*>(getauxval(AT_SYSINFO_EHDR));
  if (image == nullptr) GTEST_SKIP() << "the kernel maps no vdso";
  const Bytes original(image, image + 4096);
  std::mt19937_64 random(7);
  for (int round = 0; round < 20000; ++round) {
    Bytes damaged = original;
    for (int change = 0; change < 3; ++change) damaged[16 + random() % 1000] = static_cast<std::uint8_t>(random());
    auto file = ElfFile::FromMemory(damaged);
    if (!file.ok()) continue;
    for (const ElfSection& section : file->sections()) (void)file->ReadSection(section);
    for (const ElfSegment& segment : file->segments()) (void)file->ReadAddress(segment.address, segment.file_size);
  }
}

}  // namespace
}  // namespace leaktrace
