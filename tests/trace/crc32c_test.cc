#include "analyzer/trace/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace leaktrace::trace {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, GivesTheStandardsExamples) {
  std::vector<std::uint8_t> bytes(32, 0);
  EXPECT_EQ(Crc32c(bytes), 0x8a9136aau);
  bytes.assign(32, 0xff);
  EXPECT_EQ(Crc32c(bytes), 0x62a8ab43u);
  for (std::uint8_t i = 0; i < 32; ++i) bytes[i] = i;
  EXPECT_EQ(Crc32c(bytes), 0x46dd794eu);
  for (std::uint8_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::uint8_t>(31 - i);
  EXPECT_EQ(Crc32c(bytes), 0x113fdb5cu);
  const std::vector<std::uint8_t> read_command = {
      0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
      0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  EXPECT_EQ(Crc32c(read_command), 0xd9963a56u);
}

TEST(Crc32c, TableAndInstructionAgree) {
  std::mt19937 random(1);
  for (std::size_t size = 0; size < 100; ++size) {
    std::vector<std::uint8_t> bytes(size);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    EXPECT_EQ(Crc32c(bytes), Crc32cByTable(bytes)) << size;
  }
}

}  // namespace
}  // namespace leaktrace::trace
