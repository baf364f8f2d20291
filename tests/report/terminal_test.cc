#include "analyzer/base/terminal.h"

#include <gtest/gtest.h>

namespace leaktrace {
namespace {

TEST(TerminalTest, WidthCountsCharacters) {
  EXPECT_EQ(TextWidth("abc"), 3u);
  EXPECT_EQ(TextWidth("a…▸"), 3u);
}

TEST(TerminalTest, Elides) {
  EXPECT_EQ(ElideMiddle("node::crypto::ToLegacy", 22, true), "node::crypto::ToLegacy");
  EXPECT_EQ(ElideMiddle("node::crypto::ToLegacy", 12, true), "nod…ToLegacy");
  EXPECT_EQ(ElideMiddle("node::crypto::ToLegacy", 12, false), "nod...Legacy");
  EXPECT_EQ(ElideEnd("/usr/bin/node", 9, true), "/usr/bin…");
  EXPECT_EQ(ElideEnd("abcdef", 2, false), "ab");
  EXPECT_EQ(ElideMiddle("ααααββββ", 5, true), "α…βββ");
}

TEST(TerminalTest, PadsAndWraps) {
  EXPECT_EQ(PadLeft("…", 3), "  …");
  EXPECT_EQ(PadRight("ab", 4), "ab  ");
  EXPECT_EQ(Wrap("one two three four", 9, 2), "one two\n  three\n  four");
  EXPECT_EQ(Wrap("", 9, 2), "");
}

TEST(TerminalTest, RemovesControlCharacters) { EXPECT_EQ(Printable("a\x1b[31mb\nc\x07"), "a[31mb c"); }

}  // namespace
}  // namespace leaktrace
