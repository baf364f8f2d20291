// What V8 calls a piece of code in its code events, taken apart.
#pragma once

#include <cstdint>
#include <string_view>

#include "format/ring.h"

namespace leaktrace::js {

struct CodeName {
  std::string_view function;  // "" = anonymous; for code that is no JavaScript function its whole name ("ArrayForEach")
  std::string_view url;       // "" = none
  std::uint32_t line = 0;     // of the definition, from 1; 0 = unknown
  std::uint32_t column = 0;
  bool javascript = false;  // false: a builtin, a bytecode handler, a stub
  bool top_level = false;   // the code of a whole script or module, or of an eval
  format::CodeKind kind = format::CodeKind::kOther;
};

// `name` is "JS:~f file:///app/a.js:3:12" and the like: a tag, a tier mark (~ interpreter, ^ Sparkplug, + Maglev, *
// TurboFan, followed by ' where the code was entered in a loop), the function, the script's URL, line and column. Names
// and URLs may hold spaces. As seen in Node 20 to 26 (v8/src/logging/code-events.h, log.cc: ComputeMarker,
// AppendCodeCreateHeader). The result points into `name`.
CodeName ParseCodeName(std::string_view name);

}  // namespace leaktrace::js
