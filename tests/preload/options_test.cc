// Options and the choice of processes.
#include "preload/session/options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "preload/session/selection.h"

namespace leaktrace::preload {
namespace {

struct Read {
  std::vector<std::string> texts;
  Options options;
  WrongOption wrong;

  explicit Read(std::vector<std::string> variables) : texts(std::move(variables)) {
    std::vector<const char*> environment;
    for (const std::string& text : texts) environment.push_back(text.c_str());
    environment.push_back(nullptr);
    wrong = ReadOptions(environment.data(), options);
  }
};

TEST(Options, StandardsHoldWhereNothingIsSet) {
  const Read read({"HOME=/", "LEAKTRACER=1"});
  EXPECT_EQ(read.wrong.variable, nullptr);
  EXPECT_TRUE(read.options.enabled);
  EXPECT_TRUE(read.options.children);
  EXPECT_EQ(read.options.session.ring_bytes, 1u << 20);
  EXPECT_EQ(read.options.session.max_depth, 128u);
  EXPECT_EQ(read.options.session.unwinder, format::Unwinder::kRows);
  EXPECT_EQ(read.options.session.overflow, format::OverflowPolicy::kWait);
}

TEST(Options, ValuesAreRead) {
  const Read read({"LEAKTRACE=0", "LEAKTRACE_RING=64K", "LEAKTRACE_DEPTH=1024", "LEAKTRACE_UNWIND=fp",
                   "LEAKTRACE_OVERFLOW=drop", "LEAKTRACE_JS=exact", "LEAKTRACE_OUTPUT=a.%p", "LEAKTRACE_CHILDREN=0"});
  EXPECT_EQ(read.wrong.variable, nullptr);
  EXPECT_FALSE(read.options.enabled);
  EXPECT_FALSE(read.options.children);
  EXPECT_EQ(read.options.session.ring_bytes, 64u << 10);
  EXPECT_EQ(read.options.session.max_depth, 1024u);
  EXPECT_EQ(read.options.session.unwinder, format::Unwinder::kFramePointer);
  EXPECT_EQ(read.options.session.overflow, format::OverflowPolicy::kDrop);
  EXPECT_EQ(read.options.session.js, format::JsNames::kExact);
  EXPECT_STREQ(read.options.output, "a.%p");
}

class WrongValue : public testing::TestWithParam<const char*> {};
TEST_P(WrongValue, IsNamed) {
  const Read read({GetParam()});
  ASSERT_NE(read.wrong.variable, nullptr);
  EXPECT_STREQ(read.wrong.variable, GetParam());
}
INSTANTIATE_TEST_SUITE_P(Options, WrongValue,
                         testing::Values("LEAKTRACE=", "LEAKTRACE=yes", "LEAKTRACE_DEPTH=0", "LEAKTRACE_DEPTH=1025",
                                         "LEAKTRACE_DEPTH=99999999999999999999", "LEAKTRACE_DEPTH=5x",
                                         "LEAKTRACE_RING=65537", "LEAKTRACE_RING=32K", "LEAKTRACE_RING=128M",
                                         "LEAKTRACE_RING=M", "LEAKTRACE_UNWIND=row",
                                         "LEAKTRACE_OVERFLOW=", "LEAKTRACE_OUTPUT="));

bool Selected(std::vector<std::string> environment, const char* path, const char* argument = "") {
  const Read read(std::move(environment));
  return IsSelected(read.options, {path, argument});
}

TEST(Selection, TheFirstThatIsNoLauncher) {
  EXPECT_TRUE(Selected({}, "/usr/bin/python3.11"));
  EXPECT_TRUE(Selected({}, "/usr/local/bin/node", "server.js"));
  for (const char* path :
       {"/bin/sh", "/usr/bin/bash", "/usr/bin/env", "/usr/bin/timeout", "/bin/busybox", "/opt/leaktrace"}) {
    EXPECT_FALSE(Selected({}, path)) << path;
  }
  EXPECT_FALSE(Selected({}, "/usr/local/bin/node", "/usr/local/bin/npm"));
  EXPECT_FALSE(Selected({}, "/usr/local/bin/node", "/usr/lib/node_modules/npm/bin/npx-cli.js"));
  EXPECT_FALSE(Selected({"LEAKTRACE=0"}, "/usr/local/bin/node"));
}

TEST(Selection, DescendantsThatAreRuntimesOrTheSameProgram) {
  const std::string first = "LEAKTRACE_FIRST=/opt/server";
  EXPECT_TRUE(Selected({first}, "/opt/server"));
  EXPECT_FALSE(Selected({first}, "/opt/other"));
  EXPECT_FALSE(Selected({first}, "/bin/sh"));
  for (const char* path : {"/usr/bin/node", "/usr/bin/nodejs", "/x/bun", "/x/node20", "/x/node-22.1", "/x/bun-1.4"}) {
    EXPECT_TRUE(Selected({first}, path)) << path;
  }
  EXPECT_FALSE(Selected({first}, "/x/node-gyp"));
  EXPECT_FALSE(Selected({first}, "/usr/bin/node", "npm"));
  EXPECT_FALSE(Selected({first, "LEAKTRACE_CHILDREN=0"}, "/usr/bin/node"));
}

TEST(Selection, NamedOnes) {
  const std::string named = "LEAKTRACE_EXECUTABLES=sh,,/opt/server";
  EXPECT_TRUE(Selected({named}, "/bin/sh"));
  EXPECT_TRUE(Selected({named}, "/opt/server"));
  EXPECT_FALSE(Selected({named}, "/usr/server"));
  EXPECT_FALSE(Selected({named}, "/usr/bin/node"));
  EXPECT_FALSE(Selected({named}, "/bin/bash"));
  EXPECT_TRUE(Selected({named, "LEAKTRACE_FIRST=/usr/bin/node"}, "/bin/sh"));
}

// What `leaktrace help environment` prints is in the order in which the library reads it.
TEST(Options, TableIsInOrder) {
  for (std::size_t i = 0; i < format::kOptionCount; ++i) {
    EXPECT_EQ(static_cast<std::size_t>(format::kOptions[i].option), i);
  }
}

}  // namespace
}  // namespace leaktrace::preload
