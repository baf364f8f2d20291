#include "analyzer/js/jsc_calibration_script.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace leaktrace::js {
namespace {

TEST(CalibrationScript, NamesAreDistinctAndOfOneLength) {
  const CalibrationScript script = MakeCalibrationScript(24);
  ASSERT_EQ(script.functions.size(), 24u);
  EXPECT_EQ(std::set<std::string>(script.functions.begin(), script.functions.end()).size(), 24u);
  for (std::size_t i = 0; i < script.functions.size(); ++i) {
    EXPECT_EQ(script.functions[i].size(), script.functions[0].size());
    EXPECT_NE(script.text.find(script.functions[i]), std::string::npos);
  }
}

}  // namespace
}  // namespace leaktrace::js
