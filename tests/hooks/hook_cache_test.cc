#include "analyzer/hooks/hook_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace leaktrace::hooks {
namespace {

class HookCache : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "leaktrace-hooks-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path OnlyFile() const {
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) return entry.path();
    return {};
  }
  std::filesystem::path directory_;
};

TEST_F(HookCache, KeepsAMapAndMakesADamagedOneAnew) {
  LoadHookMap("/bin/ls", directory_);
  const auto path = OnlyFile();
  ASSERT_FALSE(path.empty());
  const auto size = std::filesystem::file_size(path);
  for (const char* expected : {"checksum differs", ""}) {
    if (*expected != '\0') {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(size) - 1);
      file.put('x');
    }
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(LoadHookMap("/bin/ls", directory_).entry_count, 0u);
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(said.find("checksum differs") != std::string::npos, *expected != '\0') << said;
  }
  std::filesystem::resize_file(path, size / 2);
  ::testing::internal::CaptureStderr();
  LoadHookMap("/bin/ls", directory_);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("cut off"), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(OnlyFile()), size);
}

TEST_F(HookCache, GivesAnEmptyMapForWhatCannotBeRead) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(LoadHookMap("/nonexistent", directory_).entry_count, 0u);
  EXPECT_FALSE(::testing::internal::GetCapturedStderr().empty());
}

}  // namespace
}  // namespace leaktrace::hooks
