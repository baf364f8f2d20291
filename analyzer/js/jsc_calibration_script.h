// The script of the calibration run: functions of known names, declared and anonymous, that call each other; the
// innermost stops the process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace leaktrace::js {

struct CalibrationScript {
  std::string text;
  std::vector<std::string> functions;  // innermost first; all names have the same length
};

// `functions` functions, at least 4. Names occur nowhere else.
CalibrationScript MakeCalibrationScript(int functions);

}  // namespace leaktrace::js
