// What JavaScript code lies where in the target, followed event by event while recording; so that a frame is named when
// it is captured, and not by what lies at its address later.
//
// One thread. Memory is bounded by the code that lives plus one entry for every distinct function ever seen.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "format/ring.h"

namespace leaktrace::js {

struct Function {
  std::string name;                    // "" = anonymous
  std::string url;                     // as the runtime gives it: a path, file:// or node: URL; "" = none (a builtin)
  std::uint32_t line = 0, column = 0;  // of the definition, from 1; 0 = unknown
  std::uint32_t script = 0;            // JavaScriptCore: id of the script; start and end are offsets in its text
  std::uint32_t start = 0, end = 0;
  bool top_level = false;
  format::CodeKind kind = format::CodeKind::kOther;
};

struct Script {
  std::string url;
  // The text as the engine has it (Bun transpiles): one byte a character (Latin-1), or two (UTF-16, little-endian)
  // where it is wide. Complete when source.size() == source_bytes.
  std::string source;
  std::uint32_t source_bytes = 0;
  bool wide = false;
};

// What a frame is: function 0 = not known.
struct CodeFrame {
  std::uint32_t function = 0;
  std::int32_t position = -1;  // in the script, UTF-16 units from 0, of the call that the frame is in; -1 = not known
};

struct LinePosition {
  std::uint32_t code_offset, position;
};

class CodeMap {
 public:
  // The records of ring.h, in the order of their stamps. Lengths are the caller's to check: `name` and the like are
  // what was in the record.
  void Add(const format::CodeRecord& code, std::string_view name);
  void Move(std::uint64_t from, std::uint64_t to);
  void Remove(std::uint64_t start);
  // Continues the table of the code at `start` where a record before gave its beginning.
  void AddLines(std::uint64_t start, absl::Span<const LinePosition> lines);
  void AddScript(const format::ScriptRecord& record, std::string_view url);
  void AddSource(const format::SourceRecord& part, std::string_view text);
  void AddJscFunction(const format::JsFunctionRecord& record, std::string_view name, std::string_view url);

  // The function and position of a frame of kind kInterpreted, kJit or kJsc, as of now.
  CodeFrame Resolve(format::FrameKind kind, std::uint64_t value) const;

  // Functions are numbered from 1 in the order of first use by Resolve or Add.
  const std::vector<Function>& functions() const { return functions_; }  // function n is functions()[n - 1]
  const std::map<std::uint32_t, Script>& scripts() const { return scripts_; }

 private:
  struct Code {
    std::uint32_t size;
    std::uint32_t function;
    std::vector<LinePosition> lines;
  };
  using Codes = std::map<std::uint64_t, Code>;

  void Clear(std::uint64_t start, std::uint64_t size);
  std::uint32_t Intern(Function function);

  Codes codes_;  // by start; ranges never overlap
  std::vector<Function> functions_;
  absl::flat_hash_map<std::string, std::uint32_t> ids_;
  absl::flat_hash_map<std::uint32_t, std::uint32_t> jsc_functions_;  // id in the session -> function
  std::map<std::uint32_t, Script> scripts_;
  // V8 may give the lines of code before the code itself, and several threads compile at once.
  std::map<std::uint64_t, std::vector<LinePosition>> pending_;
};

}  // namespace leaktrace::js
