#include "analyzer/symbolize/module_list.h"

#include <gtest/gtest.h>

namespace leaktrace::symbolize {
namespace {

Module Loaded(const char* path, std::uint64_t begin, std::uint64_t end, std::uint32_t first_frame) {
  Module module;
  module.path = path;
  module.load_address = module.begin = begin;
  module.end = end;
  module.first_frame = first_frame;
  return module;
}

Module Unloaded(std::uint64_t begin, std::uint32_t first_frame) {
  Module module;
  module.load_address = module.begin = begin;
  module.first_frame = first_frame;
  module.unloaded = true;
  return module;
}

TEST(ModuleList, RangesAreHalfOpen) {
  ModuleList list;
  list.Add(Loaded("a", 0x1000, 0x2000, 1));
  EXPECT_EQ(list.Find(0xfff, 1), std::nullopt);
  EXPECT_EQ(list.Find(0x1000, 1), 0u);
  EXPECT_EQ(list.Find(0x1fff, 1), 0u);
  EXPECT_EQ(list.Find(0x2000, 1), std::nullopt);
}

TEST(ModuleList, AddressesThatAreUsedAgain) {
  ModuleList list;
  list.Add(Loaded("first", 0x1000, 0x2000, 1));
  list.Add(Unloaded(0x1000, 100));
  list.Add(Loaded("second", 0x1000, 0x3000, 150));
  EXPECT_EQ(list.Find(0x1800, 99), 0u);
  EXPECT_EQ(list.Find(0x1800, 150), 1u);
  // Neither was there at that time, and either could be meant.
  EXPECT_EQ(list.Find(0x1800, 120), std::nullopt);
}

TEST(ModuleList, TheOnlyModuleOfAnAddressServesFramesOfAnyTime) {
  ModuleList list;
  list.Add(Loaded("late", 0x1000, 0x2000, 50));
  EXPECT_EQ(list.Find(0x1800, 10), 0u);
  list.Add(Unloaded(0x1000, 100));
  EXPECT_EQ(list.Find(0x1800, 110), 0u);
}

}  // namespace
}  // namespace leaktrace::symbolize
