#include "analyzer/js/interpreter_range.h"

#include <gtest/gtest.h>

#include <vector>

namespace leaktrace::js {
namespace {

constexpr std::uint64_t kAddress = 0x200000;

// Code that is nothing but nop, with `jumps` dispatch jumps every `stride` bytes from `begin` on.
void AddRun(std::vector<unsigned char>& code, std::size_t begin, int jumps, std::size_t stride, unsigned char form) {
  for (int i = 0; i < jumps; ++i) {
    const std::size_t at = begin + i * stride;
    code[at] = 0xff;
    code[at + 1] = 0x24;
    code[at + 2] = form;
  }
}

TEST(InterpreterRange, IsTheRunAroundTheKnownAddresses) {
  std::vector<unsigned char> code(1 << 20, 0x90);
  AddRun(code, 0x1000, 300, 64, 0xc6);
  AddRun(code, 0x80000, 300, 64, 0xc6);
  const auto range = FindInterpreterRange(code, kAddress, {kAddress + 0x80100, kAddress + 0x80900});
  ASSERT_TRUE(range.has_value());
  EXPECT_EQ(range->first, kAddress + 0x80000);
  EXPECT_EQ(range->second, kAddress + 0x80000 + 299 * 64 + 3);
}

TEST(InterpreterRange, IsWidenedToAKnownAddressNearby) {
  std::vector<unsigned char> code(1 << 20, 0x90);
  AddRun(code, 0x10000, 300, 64, 0xc6);
  const auto range = FindInterpreterRange(code, kAddress, {kAddress + 0xff00});
  ASSERT_TRUE(range.has_value());
  EXPECT_EQ(range->first, kAddress + 0xff00);
}

TEST(InterpreterRange, NeedsADenseRunOfOneForm) {
  std::vector<unsigned char> code(1 << 20, 0x90);
  AddRun(code, 0x10000, 100, 64, 0xc6);
  AddRun(code, 0x10010, 150, 64, 0xc1);
  EXPECT_FALSE(FindInterpreterRange(code, kAddress, {kAddress + 0x10100}).has_value());
  AddRun(code, 0x40000, 60, 0x3000, 0xc6);
  EXPECT_FALSE(FindInterpreterRange(code, kAddress, {kAddress + 0x40100}).has_value());
}

TEST(InterpreterRange, NothingKnownNothingFound) {
  std::vector<unsigned char> code(1 << 16, 0x90);
  AddRun(code, 0x1000, 300, 64, 0xc6);
  EXPECT_FALSE(FindInterpreterRange(code, kAddress, {}).has_value());
  EXPECT_FALSE(FindInterpreterRange({}, kAddress, {kAddress}).has_value());
}

}  // namespace
}  // namespace leaktrace::js
