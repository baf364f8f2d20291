#include "analyzer/symbolize/recovered_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "analyzer/symbolize/symbol_table.h"
#include "tests/symbolize/victim_run.h"

namespace leaktrace::symbolize {
namespace {

using ::testing::HasSubstr;

class RecoveredNamesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto whole = ElfFile::Open(PROPERTY_TABLE_VICTIM);
    ASSERT_TRUE(whole.ok()) << whole.status();
    const SymbolTable symbols = ReadSymbolTable(*whole);
    for (const SymbolRange& range : symbols.ranges()) addresses_[std::string(symbols.Name(range))] = range.begin;
    RunCommand("strip --strip-all -o " + path_ + " " PROPERTY_TABLE_VICTIM);
    const auto file = ElfFile::Open(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    names_ = RecoveredNames::Recover(*file, {{addresses_["Reify"], "mi_malloc", "the hook map"}});
  }

  std::string NameOf(const std::string& function, std::uint64_t offset = 0) {
    const RecoveredFunction* found = names_.Find(addresses_.at(function) + offset);
    return found == nullptr ? "" : found->name;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "stripped";
  std::map<std::string, std::uint64_t> addresses_;
  RecoveredNames names_;
};

TEST_F(RecoveredNamesTest, MembersWithTheirClass) {
  EXPECT_EQ(NameOf("WriteHead"), "NodeHTTPResponse.writeHead");
  EXPECT_EQ(NameOf("GetFinished"), "get NodeHTTPResponse.finished");
  EXPECT_EQ(NameOf("SetFinished"), "set NodeHTTPResponse.finished");
  EXPECT_EQ(NameOf("MakeLazy"), "get NodeHTTPResponse.lazy");
  EXPECT_EQ(NameOf("Lookup"), "Lookup.lookup");
}

TEST_F(RecoveredNamesTest, StaticMembersHaveTheClassThatTheConstructorNames) {
  EXPECT_EQ(NameOf("Parse"), "NodeHTTPResponse.parse");
}

TEST_F(RecoveredNamesTest, ThroughTheOnlyJump) {
  EXPECT_EQ(NameOf("Implementation"), "NodeHTTPResponse.writeHead");
  ASSERT_NE(names_.Find(addresses_["Implementation"]), nullptr);
  EXPECT_THAT(names_.Find(addresses_["Implementation"])->evidence,
              HasSubstr("only NodeHTTPResponse.writeHead jumps here"));
}

TEST_F(RecoveredNamesTest, WhatIsNotCertainHasNoName) {
  EXPECT_EQ(NameOf("BetweenNamed"), "");   // lies among named functions
  EXPECT_EQ(NameOf("Shared"), "");         // serves three properties
  EXPECT_EQ(NameOf("GeneratesCode"), "");  // makes a function of JavaScript, is not the function
  EXPECT_EQ(NameOf("Method"), "");         // of the method table: no property
  EXPECT_EQ(names_.Find(addresses_["WriteHead"] - 1), nullptr);
}

TEST_F(RecoveredNamesTest, SourceFilesThatAreMentioned) {
  EXPECT_EQ(NameOf("Asserting"), "[in Allocator.cpp]");
  EXPECT_THAT(names_.Find(addresses_["Asserting"])->evidence, HasSubstr("source/heap/Allocator.cpp"));
}

TEST_F(RecoveredNamesTest, FunctionsThatAreKnown) { EXPECT_EQ(NameOf("Reify", 1), "mi_malloc"); }

TEST_F(RecoveredNamesTest, ExtentsAreThoseOfTheSymbols) {
  const auto file = ElfFile::Open(PROPERTY_TABLE_VICTIM);
  ASSERT_TRUE(file.ok());
  const SymbolTable symbols = ReadSymbolTable(*file);
  for (const RecoveredFunction& function : names_.functions()) {
    const SymbolRange* symbol = symbols.Find(function.begin);
    ASSERT_NE(symbol, nullptr) << function.name;
    EXPECT_EQ(function.begin, symbol->begin) << function.name;
    EXPECT_LE(function.end, symbol->end) << function.name << " is " << symbols.Name(*symbol);
    EXPECT_EQ(function.end, symbol->end) << function.name << " is " << symbols.Name(*symbol);
  }
}

TEST_F(RecoveredNamesTest, CacheFileIsCheckedWhole) {
  const std::string bytes = names_.Serialize();
  bool ok = false;
  const RecoveredNames back = RecoveredNames::Parse(bytes, ok);
  ASSERT_TRUE(ok);
  ASSERT_EQ(back.functions().size(), names_.functions().size());
  EXPECT_EQ(back.functions()[0].name, names_.functions()[0].name);
  EXPECT_EQ(back.functions()[0].evidence, names_.functions()[0].evidence);
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    EXPECT_TRUE(RecoveredNames::Parse(bytes.substr(0, size), ok).functions().empty());
    EXPECT_FALSE(ok);
  }
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    std::string damaged = bytes;
    damaged[random() % damaged.size()] ^= static_cast<char>(1u << random() % 8);
    RecoveredNames::Parse(damaged, ok);
    EXPECT_FALSE(ok);
  }
}

TEST_F(RecoveredNamesTest, DamagedExecutables) {
  std::ifstream file(path_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    std::string bytes = seed % 4 == 0 ? whole.substr(0, random() % whole.size()) : whole;
    if (bytes.empty()) continue;
    for (unsigned damage = 1 + random() % 200; damage > 0; --damage)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    const std::string damaged = folder_ / "damaged";
    std::ofstream(damaged, std::ios::binary | std::ios::trunc) << bytes;
    if (const auto opened = ElfFile::Open(damaged); opened.ok()) RecoveredNames::Recover(*opened, {});
  }
}

TEST_F(RecoveredNamesTest, LinesSayThatTheyWereRecovered) {
  Module module;
  module.path = path_;
  const auto file = ElfFile::Open(path_);
  module.build_id.assign(file->build_id().begin(), file->build_id().end());
  module.end = ~0ull;
  Options options;
  options.cache_directory = folder_.path();
  Symbolizer symbolizer(options);
  symbolizer.AddModule(module);
  symbolizer.AddHookedFunction(addresses_["Reify"], "mi_malloc");
  const auto lines = symbolizer.Resolve({{1, format::FrameKind::kNative, addresses_["WriteHead"] + 1},
                                         {2, format::FrameKind::kNative, addresses_["Reify"] + 1}});
  EXPECT_EQ(DisplayName(lines[0][0]), "NodeHTTPResponse.writeHead [recovered]");
  EXPECT_EQ(lines[0][0].kind, LineKind::kRecovered);
  EXPECT_THAT(lines[0][0].evidence, HasSubstr("property table"));
  EXPECT_EQ(DisplayName(lines[1][0]), "mi_malloc [recovered]");
}

}  // namespace
}  // namespace leaktrace::symbolize
