#include "analyzer/report/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace leaktrace::report {
namespace {

using leak::Class;

TEST(ComparisonTest, SitesAreMatchedByTheirNames) {
  const std::vector<ComparedRow> rows = Compare(
      {{"Stays", "f", Class::kLeak, 100, 1}, {"Goes", "f", Class::kLeak, 50, 1}, {"Shrinks", "", Class::kLeak, 80, 2}},
      {{"Stays", "f", Class::kLeak, 103, 1},
       {"Comes", "f", Class::kLeak, 300, 3},
       {"Shrinks", "", Class::kUnclear, 40, 1},
       {"Grows", "", Class::kUnclear, 5, 1}});
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].name, "Comes");
  EXPECT_EQ(rows[0].change, Change::kNew);
  EXPECT_EQ(rows[1].name, "Goes");
  EXPECT_EQ(rows[1].change, Change::kGone);
  EXPECT_EQ(rows[2].name, "Shrinks");
  EXPECT_EQ(rows[2].change, Change::kSmaller);
  EXPECT_EQ(rows[2].kind, Class::kLeak);
  EXPECT_EQ(rows[3].name, "Grows");
  EXPECT_EQ(rows[4].change, Change::kSame);
}

TEST(ComparisonTest, OneFunctionCalledFromTwoScriptsIsTwoRows) {
  const auto rows = Compare({{"Open", "a", Class::kLeak, 10, 1}, {"Open", "b", Class::kLeak, 10, 1}},
                            {{"Open", "a", Class::kLeak, 10, 1}, {"Open", "a", Class::kLeak, 10, 1}});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].change, Change::kLarger);
  EXPECT_EQ(rows[0].bytes_after, 20);
  EXPECT_EQ(rows[1].change, Change::kGone);
}

TEST(ComparisonTest, WhatIsLessThanAByteIsNothing) {
  const auto rows = Compare({{"A", "", Class::kUnclear, 0.2, 0}}, {{"A", "", Class::kUnclear, 0.9, 0}});
  EXPECT_EQ(rows[0].change, Change::kSame);
  EXPECT_STREQ(ChangeName(rows[0].change), "same");
}

}  // namespace
}  // namespace leaktrace::report
