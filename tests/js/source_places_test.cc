#include "analyzer/js/source_places.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace leaktrace::js {
namespace {

class SourcePlacesTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = testing::TempDir() + name;
    std::ofstream(path) << text;
    return path;
  }
  SourcePlaces places_;
};

TEST_F(SourcePlacesTest, PositionsAreUtf16UnitsFromTheBeginning) {
  const std::string path = Write("positions.js", "// \xf0\x9f\x98\x80\nsecond();\n");
  EXPECT_EQ(places_.Position(path, 0).line, 1u);
  EXPECT_EQ(places_.Position(path, 5).line, 1u) << "the line feed";
  EXPECT_EQ(places_.Position(path, 6).line, 2u);
  EXPECT_EQ(places_.Position(path, 8).column, 3u);
  EXPECT_EQ(places_.Position(path, 1000).line, 0u);
  EXPECT_EQ(places_.Position(path, -1).line, 0u);
}

TEST_F(SourcePlacesTest, WhatIsNoLocalFileHasNoLines) {
  EXPECT_EQ(places_.Position("node:events", 10).line, 0u);
  EXPECT_EQ(places_.Position("/nonexistent/file.js", 0).line, 0u);
  EXPECT_EQ(places_.Position("", 0).line, 0u);
}

TEST_F(SourcePlacesTest, FileUrlsAreDecoded) {
  const std::string path = Write("with space.mjs", "\n\nx();");
  std::string url = "file://" + path;
  url.replace(url.find(' '), 1, "%20");
  EXPECT_EQ(LocalPath(url), path);
  EXPECT_EQ(places_.Position(url, 2).line, 3u);
  EXPECT_EQ(LocalPath("http://example.com/a.js"), std::nullopt);
}

TEST_F(SourcePlacesTest, ATranspiledFunctionIsFoundInTheUsersFile) {
  const std::string path = Write("server.ts",
                                 "interface Options { handler: (x: number) => void }\n"
                                 "\n"
                                 "export function handleUpload<T>(request: Request): Promise<T> {\n"
                                 "  return work(request as any);\n"
                                 "}\n");
  Script script{path, "export function handleUpload(request) {\n  return work(request);\n}\n", 0, false};
  script.source_bytes = static_cast<std::uint32_t>(script.source.size());
  Function function;
  function.start = static_cast<std::uint32_t>(script.source.find('('));
  EXPECT_EQ(places_.Definition(function, 1, script).line, 3u);
  function.start = 1;
  EXPECT_EQ(places_.Definition(function, 1, script).line, 0u) << "no function begins there";
}

TEST_F(SourcePlacesTest, AnIncompleteTextIsNotUsed) {
  const std::string path = Write("part.ts", "function f() {}\n");
  Script script{path, "function f() {}", 1000, false};
  Function function;
  function.start = 10;
  EXPECT_EQ(places_.Definition(function, 1, script).line, 0u);
}

}  // namespace
}  // namespace leaktrace::js
