// What libleaktrace.so asks of the target, and what it shows to it.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace leaktrace {
namespace {

using Names = std::set<std::string>;

std::string ReadElf(const std::string& options) {
  const std::string command = std::string(LEAKTRACE_READELF) + " -W " + options + " '" + LEAKTRACE_LIBRARY + "'";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  std::array<char, 4096> buffer{};
  while (pipe != nullptr && fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) output += buffer.data();
  return output;
}

struct DynamicSymbols {
  Names imports, exports;
};

// Lines of readelf: number, value, size, type, binding, visibility, section, name.
DynamicSymbols ReadDynamicSymbols() {
  DynamicSymbols symbols;
  std::istringstream lines(ReadElf("--dyn-syms"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string number, value, size, type, binding, visibility, section, name;
    if (!(fields >> number >> value >> size >> type >> binding >> visibility >> section >> name)) continue;
    if (number.back() != ':' || number == "Num:") continue;
    (section == "UND" ? symbols.imports : symbols.exports).insert(name);
  }
  return symbols;
}

std::string ReadSource(const std::string& name) {
  std::ifstream file(std::string(LEAKTRACE_PRELOAD_SOURCES) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Names FindAll(const std::string& text, const std::regex& pattern) {
  Names names;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) {
    names.insert((*match)[1]);
  }
  return names;
}

TEST(Interface, ExportsAreThoseOfTheMap) {
  const std::string map = std::regex_replace(ReadSource("exports.map"), std::regex(R"(/\*[^]*?\*/)"), "");
  const Names listed = FindAll(map.substr(0, map.find("local:")), std::regex(R"(([A-Za-z_][A-Za-z_0-9]*);)"));
  ASSERT_FALSE(listed.empty());
  EXPECT_EQ(ReadDynamicSymbols().exports, listed);
}

// The stub lists what may be imported; weak references to what is not there (Node-API, V8) are looked up by the loader
// too, and are null elsewhere.
TEST(Interface, ImportsAreOfLibcAndListed) {
  Names listed = FindAll(ReadSource("libc_stub.c"), std::regex(R"(IMPORT\((\w+)\))"));
  ASSERT_FALSE(listed.empty());
  listed.insert("environ");
  for (const std::string& import : ReadDynamicSymbols().imports) {
    if (import.starts_with("napi_")) continue;
    EXPECT_TRUE(listed.contains(import)) << import;
  }
}

TEST(Interface, NeedsLibcAloneAndNoVersionOfIt) {
  const std::string dynamic = ReadElf("--dynamic");
  EXPECT_EQ(FindAll(dynamic, std::regex(R"(\(NEEDED\)\s+Shared library: \[([^\]]*)\])")), Names{"libc.so.6"});
  EXPECT_EQ(dynamic.find("VERNEED"), std::string::npos);
  EXPECT_EQ(dynamic.find("RUNPATH"), std::string::npos);
  EXPECT_EQ(dynamic.find("RPATH"), std::string::npos);
}

// Thread-local storage is in the static block: reaching it calls nothing.
TEST(Interface, ThreadLocalsNeedNoCall) {
  const std::string relocations = ReadElf("--relocs");
  EXPECT_EQ(relocations.find("DTPMOD64"), std::string::npos);
  EXPECT_NE(relocations.find("TPOFF64"), std::string::npos);
}

TEST(Interface, HooksAreReachedWithoutLazyBinding) {
  EXPECT_NE(ReadElf("--dynamic").find("BIND_NOW"), std::string::npos);
}

}  // namespace
}  // namespace leaktrace
