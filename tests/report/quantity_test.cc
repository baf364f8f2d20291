#include "analyzer/base/quantity.h"

#include <gtest/gtest.h>

namespace leaktrace {
namespace {

TEST(QuantityTest, Bytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1000), "1.00 kB");
  EXPECT_EQ(FormatBytes(9994), "9.99 kB");
  EXPECT_EQ(FormatBytes(9995), "10.0 kB");
  EXPECT_EQ(FormatBytes(99'960), "100 kB");
  EXPECT_EQ(FormatBytes(999'600), "1.00 MB");
  EXPECT_EQ(FormatBytes(-2e6), "-2.00 MB");
  EXPECT_EQ(FormatBytesChange(1e9), "+1.00 GB");
  EXPECT_EQ(FormatBytesChange(0), "0 B");
}

TEST(QuantityTest, CountsAndRates) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1'234'567), "1,234,567");
  EXPECT_EQ(FormatCountOf(1, "block"), "1 block");
  EXPECT_EQ(FormatCountOf(2000, "block"), "2,000 blocks");
  EXPECT_EQ(FormatRate(12), "12.0");
  EXPECT_EQ(FormatRate(0.333), "0.33");
  EXPECT_EQ(FormatRate(0.0123), "0.012");
  EXPECT_EQ(FormatRate(1234.4), "1,234");
}

TEST(QuantityTest, DurationsAndShares) {
  EXPECT_EQ(FormatDuration(0), "0 s");
  EXPECT_EQ(FormatDuration(3'200'000), "3.20 ms");
  EXPECT_EQ(FormatDuration(12'400'000'000), "12.4 s");
  EXPECT_EQ(FormatDuration(200'000'000'000), "3 min 20 s");
  EXPECT_EQ(FormatDuration(7'500'000'000'000), "2 h 05 min");
  EXPECT_EQ(FormatShare(1), "100 %");
  EXPECT_EQ(FormatShare(0.99999), "99.99 %");
  EXPECT_EQ(FormatShare(0.031), "3.1 %");
}

TEST(QuantityTest, ParsesBytes) {
  EXPECT_EQ(ParseBytes("100"), 100);
  EXPECT_EQ(ParseBytes("100B"), 100);
  EXPECT_EQ(ParseBytes(" 1.5 kB "), 1500);
  EXPECT_EQ(ParseBytes("2MiB"), 2.0 * 1024 * 1024);
  EXPECT_FALSE(ParseBytes("").has_value());
  EXPECT_FALSE(ParseBytes("B").has_value());
  EXPECT_FALSE(ParseBytes("12 parsecs").has_value());
}

}  // namespace
}  // namespace leaktrace
