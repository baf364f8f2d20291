// Lines of positions in JavaScript sources. V8 and JavaScriptCore count positions in UTF-16 code units. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/model/trace_model.h"

namespace leaktrace::report {

// The positions at which lines begin: the first is 0. Line terminators are those of ECMAScript (LF, CR, CR LF, U+2028,
// U+2029).
[[nodiscard]] std::vector<std::uint32_t> LineStarts(std::string_view utf8);

class SourceLines {
 public:
  // `scripts` outlive this object. Sources are decompressed when they are first asked for.
  explicit SourceLines(const std::vector<model::JsScript>& scripts);

  // From 1; 0 where the script, its source or the position is not there.
  [[nodiscard]] std::uint32_t Line(std::uint32_t script, std::uint32_t position);

 private:
  struct Lines {
    const model::JsScript* script = nullptr;
    bool loaded = false;
    std::vector<std::uint32_t> starts;
    std::uint32_t end = 0;
  };
  absl::flat_hash_map<std::uint32_t, Lines> scripts_;
};

}  // namespace leaktrace::report
