#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "analyzer/base/elf_file.h"
#include "analyzer/symbolize/debug_files.h"
#include "analyzer/symbolize/symbol_table.h"
#include "tests/symbolize/victim_run.h"

namespace leaktrace::symbolize {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

class NativeNames : public ::testing::Test {
 protected:
  void SetUp() override {
    RunCommand("cp " SYMBOLIZE_VICTIM " " + (folder_ / "victim"));
    run_ = RunVictim(folder_ / "victim");
  }

  // The victim without symbols and DWARF, at the path that was run; what was taken off is in `debug_path`.
  void Strip(const std::string& debug_path) {
    std::filesystem::create_directories(std::filesystem::path(debug_path).parent_path());
    RunCommand("objcopy --only-keep-debug " + (folder_ / "victim") + " " + debug_path);
    RunCommand("objcopy --strip-all " + (folder_ / "victim"));
  }

  std::string BuildIdPath(const std::string& directory) const {
    const std::string hex = HexBuildId(run_.module.build_id);
    return directory + "/.build-id/" + hex.substr(0, 2) + "/" + hex.substr(2) + ".debug";
  }

  std::vector<Line> Lines(const std::string& call, Options options = {}) {
    return LinesOf(run_, call, run_.module, std::move(options), &notes_);
  }

  TemporaryFolder folder_;
  VictimRun run_;
  std::vector<std::string> notes_;
};

TEST_F(NativeNames, InlinedFunctionsAreLinesOfTheirOwn) {
  const std::vector<Line> lines = Lines("inlined");
  EXPECT_EQ(Functions(lines), "(victim::Innermost()) < (victim::Middle()) < victim::Outer()");
  for (const Line& line : lines) {
    EXPECT_THAT(line.file, EndsWith("symbolize_victim.cc"));
    EXPECT_EQ(line.kind, LineKind::kNative);
    EXPECT_EQ(line.module, "victim");
    EXPECT_EQ(line.offset, run_.values["inlined"] - run_.values["load"]);
  }
  // Each line is the call's, not the function's: found again in the source.
  std::ifstream source(lines.at(0).file);
  std::vector<std::string> text(1);
  for (std::string line; std::getline(source, line);) text.push_back(line);
  EXPECT_THAT(text.at(lines.at(0).line), HasSubstr("PrintCaller(\"inlined\")"));
  EXPECT_THAT(text.at(lines.at(1).line), HasSubstr("Innermost();"));
  EXPECT_THAT(text.at(lines.at(2).line), HasSubstr("Middle();"));
}

TEST_F(NativeNames, ShortAndFullNames) {
  EXPECT_EQ(Functions(Lines("anonymous")), "victim::(anonymous namespace)::Hidden()");
  EXPECT_EQ(Functions(Lines("template")), "victim::Box::Fill");
  Options full;
  full.full_names = true;
  EXPECT_EQ(Functions(Lines("template", full)),
            "victim::Box<unsigned long long>::Fill(unsigned long long, char const*, unsigned long const&)");
}

TEST_F(NativeNames, ReturnAddressBelongsToTheCall) { EXPECT_EQ(Functions(Lines("never_returns")), "NeverReturns()"); }

TEST_F(NativeNames, SymbolsWithoutDwarf) {
  RunCommand("objcopy --strip-debug " + (folder_ / "victim"));
  const std::vector<Line> lines = Lines("inlined");
  EXPECT_EQ(Functions(lines), "victim::Outer()");
  EXPECT_EQ(lines.at(0).line, 0u);
}

TEST_F(NativeNames, StrippedIsModuleAndOffset) {
  RunCommand("objcopy --strip-all " + (folder_ / "victim"));
  const std::vector<Line> lines = Lines("inlined");
  EXPECT_THAT(Functions(lines), MatchesRegex("victim\\+0x[0-9a-f]+"));
  EXPECT_EQ(lines.at(0).kind, LineKind::kUnknown);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(NativeNames, DynamicSymbolThatDoesNotCoverIsNotUsed) {
  // libc exports a fraction of its functions: an address in a gap between two exported ones has no name.
  TemporaryFolder folder;
  std::ofstream(folder / "a.c") << "__attribute__((visibility(\"hidden\"))) int hidden(int a) { return a * 3 + 1; }\n"
                                   "int exported(int a) { return a * 2 + 5; }\n";
  RunCommand("cc -shared -fPIC -O1 -o " + (folder / "a.so") + " " + (folder / "a.c"));
  const auto whole = ElfFile::Open(folder / "a.so");
  ASSERT_TRUE(whole.ok());
  const SymbolTable symbols = ReadSymbolTable(*whole);
  std::uint64_t hidden = 0, exported = 0;
  for (const SymbolRange& range : symbols.ranges()) {
    if (symbols.Name(range) == "hidden") hidden = range.begin;
    if (symbols.Name(range) == "exported") exported = range.begin;
  }
  ASSERT_NE(hidden, 0u);
  RunCommand("strip --strip-all " + (folder / "a.so"));
  const auto stripped = ElfFile::Open(folder / "a.so");
  ASSERT_TRUE(stripped.ok());
  const SymbolTable dynamic = ReadSymbolTable(*stripped);
  ASSERT_NE(dynamic.Find(exported), nullptr);
  EXPECT_EQ(dynamic.Name(*dynamic.Find(exported)), "exported");
  EXPECT_EQ(dynamic.Find(hidden), nullptr);
}

TEST_F(NativeNames, SeparateFileByBuildId) {
  Strip(BuildIdPath(folder_ / "debug"));
  Options options;
  options.debug_directories = {folder_ / "debug"};
  EXPECT_EQ(Functions(Lines("inlined", options)), "(victim::Innermost()) < (victim::Middle()) < victim::Outer()");
}

TEST_F(NativeNames, UnstrippedBuildOfAnyNameInTheDebugFolder) {
  Strip(folder_ / "debug/victim-profile");
  Options options;
  options.debug_directories = {folder_ / "debug"};
  EXPECT_EQ(Functions(Lines("inlined", options)), "(victim::Innermost()) < (victim::Middle()) < victim::Outer()");
  // The same when the module itself is gone.
  std::filesystem::remove(folder_ / "victim");
  EXPECT_EQ(Functions(Lines("inlined", options)), "(victim::Innermost()) < (victim::Middle()) < victim::Outer()");
}

TEST_F(NativeNames, SeparateFileByDebugLink) {
  for (const char* place : {"victim.dbg", ".debug/victim.dbg"}) {
    SCOPED_TRACE(place);
    SetUp();
    Strip(folder_ / place);
    RunCommand("objcopy --add-gnu-debuglink=" + (folder_ / place) + " " + (folder_ / "victim"));
    EXPECT_EQ(Functions(Lines("anonymous")), "victim::(anonymous namespace)::Hidden()");
    std::filesystem::remove(folder_ / place);
  }
}

TEST_F(NativeNames, DebugLinkWithoutBuildIdNeedsTheChecksum) {
  RunCommand("objcopy --remove-section=.note.gnu.build-id " + (folder_ / "victim"));
  run_ = RunVictim(folder_ / "victim");
  ASSERT_EQ(run_.module.build_id, "");
  Strip(folder_ / "victim.dbg");
  RunCommand("objcopy --add-gnu-debuglink=" + (folder_ / "victim.dbg") + " " + (folder_ / "victim"));
  EXPECT_EQ(Functions(Lines("anonymous")), "victim::(anonymous namespace)::Hidden()");
  std::ofstream(folder_ / "victim.dbg", std::ios::app) << "changed";
  EXPECT_THAT(Functions(Lines("anonymous")), MatchesRegex("victim\\+0x[0-9a-f]+"));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("victim.dbg: not used, it is of another build")));
}

TEST_F(NativeNames, AnotherBuildIsNotUsed) {
  Module recorded = run_.module;
  recorded.build_id = std::string(20, '\x42');
  EXPECT_THAT(Functions(LinesOf(run_, "anonymous", recorded, {}, &notes_)), MatchesRegex("victim\\+0x[0-9a-f]+"));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("another build than the one that was recorded")));
  // Nor a debug file of another build, wherever it lies.
  Strip(BuildIdPath(folder_ / "debug"));
  run_.module.build_id[0] ^= 1;
  std::filesystem::create_directories(std::filesystem::path(BuildIdPath(folder_ / "wrong")).parent_path());
  RunCommand("cp " SYMBOLIZE_VICTIM " " + BuildIdPath(folder_ / "wrong"));
  Options options;
  options.debug_directories = {folder_ / "wrong"};
  EXPECT_THAT(Functions(Lines("anonymous", options)), MatchesRegex("victim\\+0x[0-9a-f]+"));
  EXPECT_THAT(notes_, Contains(HasSubstr("not used, it is of another build")));
}

TEST_F(NativeNames, MissingModuleIsSaidOnce) {
  std::filesystem::remove(folder_ / "victim");
  Symbolizer symbolizer({});
  symbolizer.AddModule(run_.module);
  std::vector<Frame> frames(100, Frame{1, format::FrameKind::kNative, run_.values["anonymous"]});
  EXPECT_EQ(symbolizer.Resolve(frames).size(), 100u);
  EXPECT_THAT(symbolizer.notes(), ElementsAre(HasSubstr("cannot be opened")));
}

TEST(Symbolizer, FramesThatAreNoMachineCode) {
  Symbolizer symbolizer({});
  symbolizer.AddJavaScript(1, "handle", "/app/server.js", 42);
  Line bundled;
  bundled.function = "Kept";
  bundled.kind = LineKind::kNative;
  symbolizer.AddBundled(2, {bundled});
  using format::FrameKind;
  const auto lines = symbolizer.Resolve({{1, FrameKind::kJit, 5},
                                         {2, FrameKind::kNative, 5},
                                         {3, FrameKind::kJsc, 1},
                                         {4, FrameKind::kScheduledBy, 0},
                                         {5, FrameKind::kNative, 0x1234}});
  EXPECT_EQ(Functions(lines[0]), "handle");
  EXPECT_EQ(lines[0][0].line, 42u);
  EXPECT_EQ(lines[0][0].kind, LineKind::kJs);
  EXPECT_EQ(Functions(lines[1]), "Kept");
  EXPECT_EQ(Functions(lines[2]), "[JavaScript]");
  EXPECT_EQ(Functions(lines[3]), "[scheduled by]");
  EXPECT_EQ(Functions(lines[4]), "0x1234");
}

}  // namespace
}  // namespace leaktrace::symbolize
