#include "analyzer/read/live_blocks.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace leaktrace::read {
namespace {

TEST(LiveBlocks, AgreesWithAMap) {
  std::mt19937_64 random(3);
  LiveBlocks blocks;
  std::map<std::uint64_t, EndedBlock> expected;
  std::uint64_t next = 0;
  for (int step = 0; step < 400'000; ++step) {
    if (random() % 5 < 3) {
      // Now and then chunks are lost.
      if (random() % 100'000 == 0) next += random() % 2'000'000;
      const EndedBlock block{static_cast<std::uint32_t>(1 + random() % 100),
                             random() % 50 == 0 ? random() >> 24 : random() % 5000};
      blocks.Add(next, block.kind, block.size);
      expected[next++] = block;
    } else {
      const std::uint64_t number =
          next - std::min<std::uint64_t>(next, 1 + (random() >> (random() % 60 + 3)) % (next + 1));
      const auto found = expected.find(number);
      const EndedBlock got = blocks.Remove(number);
      if (found == expected.end()) {
        ASSERT_EQ(got.kind, 0) << number;
      } else {
        ASSERT_EQ(got.kind, found->second.kind) << number;
        ASSERT_EQ(got.size, found->second.size) << number;
        expected.erase(found);
      }
    }
  }
  ASSERT_EQ(blocks.live(), expected.size());
  auto at = expected.begin();
  blocks.ForEach([&](std::uint64_t number, std::uint32_t kind, std::uint64_t size) {
    ASSERT_NE(at, expected.end());
    EXPECT_EQ(number, at->first);
    EXPECT_EQ(kind, at->second.kind);
    EXPECT_EQ(size, at->second.size);
    ++at;
  });
  EXPECT_EQ(at, expected.end());
}

TEST(LiveBlocks, KnowsNothingOfNumbersThatWereNeverAdded) {
  LiveBlocks blocks;
  EXPECT_EQ(blocks.Remove(0).kind, 0);
  blocks.Add(1'000'000, 1, 5);
  EXPECT_EQ(blocks.Remove(0).kind, 0);
  EXPECT_EQ(blocks.Remove(1'000'001).kind, 0);
  EXPECT_EQ(blocks.Remove(~std::uint64_t{0}).kind, 0);
  EXPECT_EQ(blocks.Remove(1'000'000).size, 5);
  EXPECT_EQ(blocks.Remove(1'000'000).kind, 0);
}

}  // namespace
}  // namespace leaktrace::read
