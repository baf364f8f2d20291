#include "analyzer/js/code_map.h"

#include <gtest/gtest.h>

#include "analyzer/js/code_name.h"

namespace leaktrace::js {
namespace {

using format::CodeKind;
using format::CodeRecord;
using format::FrameKind;

TEST(CodeName, FunctionWithUrlLineAndColumn) {
  const CodeName name = ParseCodeName("JS:~outer file:///app/t.mjs:4:15");
  EXPECT_EQ(name.function, "outer");
  EXPECT_EQ(name.url, "file:///app/t.mjs");
  EXPECT_EQ(name.line, 4u);
  EXPECT_EQ(name.column, 15u);
  EXPECT_TRUE(name.javascript);
  EXPECT_EQ(name.kind, CodeKind::kBytecode);
}

TEST(CodeName, SpacesInNamesAndPaths) {
  const CodeName getter = ParseCodeName("JS:^get size /home/a b/c d.js:10:2");
  EXPECT_EQ(getter.function, "get size");
  EXPECT_EQ(getter.url, "/home/a b/c d.js");
  EXPECT_EQ(getter.kind, CodeKind::kBaseline);
}

TEST(CodeName, TiersAnonymousAndInternal) {
  EXPECT_EQ(ParseCodeName("JS:+'f /a.js:1:1").function, "f");
  EXPECT_EQ(ParseCodeName("JS:+'f /a.js:1:1").kind, CodeKind::kOptimized);
  EXPECT_EQ(ParseCodeName("JS:o*f /a.js:1:1").function, "f");
  EXPECT_EQ(ParseCodeName("JS:~ /a.js:3:9").function, "");
  EXPECT_EQ(ParseCodeName("JS:~ /a.js:3:9").url, "/a.js");
  EXPECT_EQ(ParseCodeName("JS:~emit node:events:465:44").url, "node:events");
  EXPECT_EQ(ParseCodeName("JS:*#p file:///t.mjs:2:200").function, "#p");
}

TEST(CodeName, WholeScriptsAndBuiltins) {
  const CodeName script = ParseCodeName("Script:~ file:///app/t.mjs:1:1");
  EXPECT_TRUE(script.top_level);
  EXPECT_EQ(script.url, "file:///app/t.mjs");
  const CodeName builtin = ParseCodeName("Builtin:ArrayForEach");
  EXPECT_EQ(builtin.function, "ArrayForEach");
  EXPECT_FALSE(builtin.javascript);
  EXPECT_EQ(builtin.kind, CodeKind::kBuiltin);
}

TEST(CodeName, WhateverTheTextItEnds) {
  for (const char* text : {"", ":", "JS:", "JS:~", "JS:~ ", "JS:~:1:2", "x", "JS:~a", "JS:~a:99999999999999999999:1"})
    ParseCodeName(text);
}

CodeRecord Code(std::uint64_t start, std::uint32_t size) {
  CodeRecord record{};
  record.start = start;
  record.size = size;
  return record;
}

std::string NameAt(const CodeMap& map, std::uint64_t address) {
  const CodeFrame frame = map.Resolve(FrameKind::kInterpreted, address);
  return frame.function == 0 ? "?" : map.functions()[frame.function - 1].name;
}

TEST(CodeMap, NamesWhatLiesAtAnAddress) {
  CodeMap map;
  map.Add(Code(0x1000, 0x10), "JS:~a /x.js:1:1");
  map.Add(Code(0x2000, 0x10), "JS:~b /x.js:2:1");
  EXPECT_EQ(NameAt(map, 0x1000), "a");
  EXPECT_EQ(NameAt(map, 0x100f), "a");
  EXPECT_EQ(NameAt(map, 0x1010), "?");
  EXPECT_EQ(NameAt(map, 0x2004), "b");
  EXPECT_EQ(NameAt(map, 0xfff), "?");
}

TEST(CodeMap, AReturnAddressBelongsToTheCallBeforeIt) {
  CodeMap map;
  map.Add(Code(0x1000, 0x10), "JS:*a /x.js:1:1");
  map.Add(Code(0x1010, 0x10), "JS:*b /x.js:2:1");
  EXPECT_EQ(map.functions()[map.Resolve(FrameKind::kJit, 0x1010).function - 1].name, "a");
}

TEST(CodeMap, NewCodeReplacesWhatItOverlaps) {
  CodeMap map;
  map.Add(Code(0x1000, 0x100), "JS:~a /x.js:1:1");
  map.Add(Code(0x10f0, 0x100), "JS:~b /x.js:2:1");
  EXPECT_EQ(NameAt(map, 0x1000), "?") << "half of it was overwritten";
  EXPECT_EQ(NameAt(map, 0x10f0), "b");
}

TEST(CodeMap, CodeThatMovesTakesItsLinesAlong) {
  CodeMap map;
  map.Add(Code(0x1000, 0x10), "JS:~a /x.js:1:1");
  map.AddLines(0x1000, {{0, 5}, {8, 77}});
  map.Add(Code(0x3000, 0x10), "JS:~c /x.js:3:1");
  map.Move(0x1000, 0x3008);
  EXPECT_EQ(NameAt(map, 0x1000), "?");
  EXPECT_EQ(NameAt(map, 0x3000), "?");
  EXPECT_EQ(map.Resolve(FrameKind::kInterpreted, 0x3009).position, 5);
  EXPECT_EQ(map.Resolve(FrameKind::kInterpreted, 0x3010).position, 77);
}

TEST(CodeMap, LinesMayComeBeforeTheirCode) {
  CodeMap map;
  map.AddLines(0x1000, {{8, 77}, {0, 5}});
  map.Add(Code(0x1000, 0x10), "JS:~a /x.js:1:1");
  EXPECT_EQ(map.Resolve(FrameKind::kInterpreted, 0x1007).position, 5);
  EXPECT_EQ(map.Resolve(FrameKind::kInterpreted, 0x1008).position, 77);
}

TEST(CodeMap, LinesWaitForTheirCodeWhileOtherCodeComes) {
  CodeMap map;
  map.AddLines(0x1000, {{0, 5}});
  map.AddLines(0x3000, {{0, 9}});
  map.Add(Code(0x2000, 0x10), "JS:~b /x.js:2:1");
  map.Add(Code(0x1000, 0x10), "JS:~a /x.js:1:1");
  map.Add(Code(0x3000, 0x10), "JS:~c /x.js:3:1");
  EXPECT_EQ(map.Resolve(FrameKind::kInterpreted, 0x1000).position, 5);
  EXPECT_EQ(map.Resolve(FrameKind::kInterpreted, 0x3000).position, 9);
}

TEST(CodeMap, AFunctionIsOneWhateverItsTier) {
  CodeMap map;
  map.Add(Code(0x1000, 0x10), "JS:~a /x.js:1:1");
  map.Add(Code(0x2000, 0x10), "JS:*a /x.js:1:1");
  EXPECT_EQ(map.functions().size(), 1u);
}

TEST(CodeMap, JavaScriptCoreFunctionsByTheirId) {
  CodeMap map;
  format::JsFunctionRecord record{};
  record.id = 7;
  record.start = 10;
  map.AddJscFunction(record, "handler", "/app/index.ts");
  const CodeFrame frame = map.Resolve(FrameKind::kJsc, 7);
  ASSERT_NE(frame.function, 0u);
  EXPECT_EQ(map.functions()[frame.function - 1].url, "/app/index.ts");
  EXPECT_EQ(map.Resolve(FrameKind::kJsc, 8).function, 0u);
}

TEST(CodeMap, SourceComesInParts) {
  CodeMap map;
  map.AddScript({1, 10, 0, 9}, "/app/a.ts");
  map.AddSource({1, 0, 10, 5}, "01234");
  map.AddSource({1, 5, 10, 5}, "56789");
  EXPECT_EQ(map.scripts().at(1).source, "0123456789");
}

}  // namespace
}  // namespace leaktrace::js
