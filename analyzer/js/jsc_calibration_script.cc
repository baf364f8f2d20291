#include "analyzer/js/jsc_calibration_script.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace leaktrace::js {

CalibrationScript MakeCalibrationScript(int functions) {
  CalibrationScript script;
  for (int i = 0; i < functions; ++i) {
    const std::string name = absl::StrFormat("ltCalibration%03d", i);
    // Padding of differing length: source offsets must not be explicable by a constant stride.
    absl::StrAppend(&script.text, "globalThis.ltPad", i, " = '", std::string((i * 37) % 101, 'x'), "';\n");
    const std::string inner =
        i == 0 ? "process.kill(process.pid, 'SIGSTOP')" : absl::StrCat(script.functions.back(), "(n + 1)");
    const std::string body = absl::StrCat("{ const r = ", inner, "; return [r, n]; }");
    // An anonymous function has a name only by inference (ECMAScript's NamedEvaluation), which the engine stores apart.
    absl::StrAppend(&script.text, i % 2 == 0 ? absl::StrCat("function ", name, "(n) ", body, "\n")
                                             : absl::StrCat("const ", name, " = function (n) ", body, ";\n"));
    script.functions.push_back(name);
  }
  absl::StrAppend(&script.text, "globalThis.ltResult = ", script.functions.back(), "(1);\n");
  return script;
}

}  // namespace leaktrace::js
