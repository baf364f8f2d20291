#include "analyzer/hooks/relocate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace leaktrace::hooks {
namespace {

using Code = std::vector<std::uint8_t>;
using ::testing::HasSubstr;

constexpr std::uint64_t kAddress = 0x400000;

std::int32_t FixupValue(const Relocation& moved, unsigned fixup) {
  std::int32_t value;
  std::memcpy(&value, moved.bytes + moved.fixups[fixup].offset, sizeof value);
  return value;
}

TEST(Relocate, TakesWholeInstructions) {
  // push %rbp; mov %rsp, %rbp; mov %rdi, %rsi; ret
  const Code code = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xfe, 0xc3};
  const auto moved = RelocatePrologue(kAddress, code);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->displaced, 7u);
  EXPECT_EQ(moved->relocated, 7u);
  EXPECT_EQ(moved->fixup_count, 0u);
  EXPECT_EQ(std::memcmp(moved->bytes, code.data(), 7), 0);
}

TEST(Relocate, WidensAShortBranch) {
  // test %rdi, %rdi; je +0x30; push %rbp
  const Code code = {0x48, 0x85, 0xff, 0x74, 0x30, 0x55};
  const auto moved = RelocatePrologue(kAddress, code);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->displaced, 5u);
  EXPECT_EQ(moved->relocated, 9u);
  EXPECT_EQ(moved->bytes[3], 0x0f);
  EXPECT_EQ(moved->bytes[4], 0x84);
  ASSERT_EQ(moved->fixup_count, 1u);
  EXPECT_EQ(moved->fixups[0].end, 9);
  EXPECT_EQ(FixupValue(*moved, 0), 5 + 0x30);  // from the function's address
}

TEST(Relocate, KeepsTheTargetOfAnOperandRelativeToTheInstruction) {
  const Code code = {0x48, 0x8b, 0x05, 0x10, 0x00, 0x00, 0x00, 0xc3};  // mov 0x10(%rip), %rax; ret
  const auto moved = RelocatePrologue(kAddress, code);
  ASSERT_TRUE(moved.ok()) << moved.status();
  ASSERT_EQ(moved->fixup_count, 1u);
  EXPECT_EQ(moved->fixups[0].offset, 3);
  EXPECT_EQ(moved->fixups[0].end, 7);
  EXPECT_EQ(FixupValue(*moved, 0), 7 + 0x10);
}

TEST(Relocate, RefusesWhatCannotMove) {
  const Code call = {0xe8, 0x00, 0x00, 0x00, 0x00};
  EXPECT_THAT(std::string(RelocatePrologue(kAddress, call).status().message()), HasSubstr("call"));
  const Code loop = {0xe2, 0xfe, 0x90, 0x90, 0x90};
  EXPECT_THAT(std::string(RelocatePrologue(kAddress, loop).status().message()), HasSubstr("no long form"));
  const Code tiny = {0x31, 0xc0, 0xc3, 0xcc, 0xcc, 0xcc};  // xor %eax, %eax; ret
  EXPECT_THAT(std::string(RelocatePrologue(kAddress, tiny).status().message()), HasSubstr("ends before"));
  EXPECT_FALSE(RelocatePrologue(kAddress, Code{0x48}).ok());
}

TEST(Relocate, FindsBranchesIntoARange) {
  const Code code = {0x90, 0x90, 0x90, 0x90, 0x90, 0xeb, 0xfb};  // jmp to the third byte
  EXPECT_TRUE(HasBranchInto(kAddress, code, kAddress, kAddress + 5));
  EXPECT_FALSE(HasBranchInto(kAddress, code, kAddress + 2, kAddress + 5));  // the first byte itself may be a target
}

}  // namespace
}  // namespace leaktrace::hooks
