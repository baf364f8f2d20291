// Damaged ELF and DWARF: fewer names, never a crash. The damage is the same in every run.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "analyzer/base/elf_file.h"
#include "analyzer/symbolize/dwarf_info.h"
#include "analyzer/symbolize/symbol_table.h"
#include "tests/symbolize/victim_run.h"

namespace leaktrace::symbolize {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class MalformedFiles : public ::testing::Test {
 protected:
  void SetUp() override { run_ = RunVictim(SYMBOLIZE_VICTIM); }

  // Everything that reads files, on the file at path_.
  void LookUpAll() {
    Symbolizer symbolizer({});
    Module module = run_.module;
    module.path = path_;
    symbolizer.AddModule(module);
    std::vector<Frame> frames;
    for (const auto& [name, value] : run_.values) frames.push_back({1, format::FrameKind::kNative, value});
    EXPECT_EQ(symbolizer.Resolve(frames).size(), frames.size());
    if (auto dwarf = DwarfInfo::Open(path_)) {
      for (const auto& [name, value] : run_.values) dwarf->Find(value - run_.module.load_address);
    }
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "damaged";
  const std::string whole_ = ReadAll(SYMBOLIZE_VICTIM);
  VictimRun run_;
};

TEST_F(MalformedFiles, Truncated) {
  for (int part = 0; part < 64; ++part) {
    WriteAll(path_, whole_.substr(0, whole_.size() * part / 64));
    LookUpAll();
  }
}

TEST_F(MalformedFiles, DamagedBytesAnywhere) {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    std::mt19937 random(seed);
    std::string bytes = whole_;
    for (unsigned damage = 1 + random() % 64; damage > 0; --damage) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    WriteAll(path_, bytes);
    LookUpAll();
  }
}

TEST_F(MalformedFiles, DamagedDebugSections) {
  const auto file = ElfFile::Open(SYMBOLIZE_VICTIM);
  ASSERT_TRUE(file.ok());
  for (const ElfSection& section : file->sections()) {
    if (section.name.substr(0, 7) != ".debug_" && section.name != ".symtab" && section.name != ".strtab") continue;
    for (unsigned seed = 1; seed <= 40; ++seed) {
      SCOPED_TRACE(section.name + " seed " + std::to_string(seed));
      std::mt19937 random(seed);
      std::string bytes = whole_;
      for (unsigned damage = 1 + random() % 8; damage > 0; --damage) {
        // Single bytes, and words with the values that arithmetic gets wrong.
        const std::size_t at = section.offset + random() % section.size;
        const std::uint64_t words[] = {0, 1, 0x7fff'ffff, 0xffff'ffff, ~0ull, ~0ull >> 1, random()};
        const std::uint64_t word = words[random() % std::size(words)];
        const std::size_t size = std::min<std::size_t>(std::size_t{1} << (random() % 4), bytes.size() - at);
        std::memcpy(bytes.data() + at, &word, size);
      }
      WriteAll(path_, bytes);
      LookUpAll();
    }
  }
}

TEST_F(MalformedFiles, HeadersOfAnyValue) {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    std::mt19937 random(seed);
    std::string bytes = whole_;
    // The ELF header, the program headers, and the section headers at the end of the file.
    for (unsigned damage = 1 + random() % 6; damage > 0; --damage) {
      const std::size_t at = random() % 2 == 0 ? 16 + random() % 800 : bytes.size() - 1 - random() % 2400;
      bytes[at] = static_cast<char>(random());
    }
    WriteAll(path_, bytes);
    LookUpAll();
  }
}

}  // namespace
}  // namespace leaktrace::symbolize
