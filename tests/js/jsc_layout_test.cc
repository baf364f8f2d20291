#include "analyzer/js/jsc_layout.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace leaktrace::js {
namespace {

TEST(JscLayout, AProgramThatIsNoJavaScriptRuntimeIsRefused) {
  const auto layout = CalibrateJscLayout("/bin/true");
  ASSERT_FALSE(layout.ok());
  EXPECT_EQ(layout.status().code(), absl::StatusCode::kFailedPrecondition) << layout.status();
}

TEST(JscLayout, AProgramThatDoesNotStopIsEndedInTime) {
  const auto layout = CalibrateJscLayout("/usr/bin/yes", absl::Milliseconds(50));
  ASSERT_FALSE(layout.ok());
  EXPECT_EQ(layout.status().code(), absl::StatusCode::kDeadlineExceeded) << layout.status();
}

TEST(JscLayout, AMissingProgramIsAnError) { EXPECT_FALSE(CalibrateJscLayout("/nonexistent/bun").ok()); }

}  // namespace
}  // namespace leaktrace::js
