#include "analyzer/record/block_table.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

namespace leaktrace::record {
namespace {

TEST(BlockTable, AgreesWithAMap) {
  std::mt19937_64 random(5);
  BlockTable table;
  std::unordered_map<std::uint64_t, Block> expected;
  for (int step = 0; step < 1'000'000; ++step) {
    // Grows to a few hundred thousand blocks and shrinks again.
    const bool grow = step < 600'000 ? random() % 3 != 0 : random() % 5 == 0;
    const std::uint64_t address = 0x7f00'0000'0000 + (random() % 500'000) * 16;
    Block block{address, random() >> 24, random() >> 24}, got;
    const auto found = expected.find(address);
    if (grow) {
      const bool replaced = table.Insert(block, got);
      ASSERT_EQ(replaced, found != expected.end());
      if (replaced) {
        ASSERT_EQ(got.allocation, found->second.allocation);
      }
      expected[address] = block;
    } else {
      ASSERT_EQ(table.Remove(address, got), found != expected.end());
      if (found != expected.end()) {
        ASSERT_EQ(got.address, address);
        ASSERT_EQ(got.allocation, found->second.allocation);
        ASSERT_EQ(got.size, found->second.size);
        expected.erase(found);
      }
    }
    ASSERT_EQ(table.size(), expected.size());
  }
}

TEST(BlockTable, KeepsTheLargestNumbers) {
  BlockTable table;
  const Block block{(std::uint64_t{1} << 48) - 16, (std::uint64_t{1} << 40) - 1, (std::uint64_t{1} << 40) - 1};
  Block got;
  EXPECT_FALSE(table.Insert(block, got));
  ASSERT_TRUE(table.Remove(block.address, got));
  EXPECT_EQ(got.allocation, block.allocation);
  EXPECT_EQ(got.size, block.size);
  EXPECT_FALSE(table.Remove(block.address, got));
}

}  // namespace
}  // namespace leaktrace::record
