#include "analyzer/js/code_map.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzer/js/code_name.h"

namespace leaktrace::js {
namespace {

constexpr std::size_t kMostSource = 64 << 20;  // of one script; a larger text is not kept
constexpr std::size_t kMostPending = 4096;     // tables of lines whose code was not announced yet
constexpr std::size_t kMostLines = 1 << 20;    // of one piece of code

}  // namespace

void CodeMap::Clear(std::uint64_t start, std::uint64_t size) {
  auto at = codes_.upper_bound(start);
  if (at != codes_.begin()) {
    const auto before = std::prev(at);
    if (before->first + before->second.size > start) at = before;
  }
  while (at != codes_.end() && at->first < start + size) at = codes_.erase(at);
}

std::uint32_t CodeMap::Intern(Function function) {
  // The tier is left out: a function is one call site, however hot it has become.
  const std::string key = absl::StrCat(function.name, "\n", function.url, "\n", function.line, ":", function.column,
                                       ":", function.script, ":", function.start, ":", function.top_level);
  const auto [entry, fresh] = ids_.try_emplace(key, static_cast<std::uint32_t>(functions_.size() + 1));
  if (fresh) functions_.push_back(std::move(function));
  return entry->second;
}

void CodeMap::Add(const format::CodeRecord& code, std::string_view name) {
  const CodeName parsed = ParseCodeName(name);
  Function function;
  function.name = parsed.function;
  function.url = parsed.url;
  function.line = parsed.line;
  function.column = parsed.column;
  function.top_level = parsed.top_level;
  function.kind = parsed.kind;
  Clear(code.start, std::max<std::uint32_t>(code.size, 1));
  Code& entry = codes_[code.start];
  entry = Code{std::max<std::uint32_t>(code.size, 1), Intern(std::move(function)), {}};
  if (const auto lines = pending_.find(code.start); lines != pending_.end()) {
    entry.lines = std::move(lines->second);
    pending_.erase(lines);
  }
}

void CodeMap::Move(std::uint64_t from, std::uint64_t to) {
  const auto found = codes_.find(from);
  if (found == codes_.end()) return;
  Code code = std::move(found->second);
  codes_.erase(found);
  Clear(to, code.size);
  codes_[to] = std::move(code);
}

void CodeMap::Remove(std::uint64_t start) { codes_.erase(start); }

void CodeMap::AddLines(std::uint64_t start, absl::Span<const LinePosition> lines) {
  const auto found = codes_.find(start);
  if (found == codes_.end() && pending_.size() >= kMostPending) pending_.clear();  // of code that never came
  std::vector<LinePosition>* const table = found != codes_.end() ? &found->second.lines : &pending_[start];
  if (table->size() + lines.size() > kMostLines) return;
  table->insert(table->end(), lines.begin(), lines.end());
  std::stable_sort(table->begin(), table->end(),
                   [](const LinePosition& a, const LinePosition& b) { return a.code_offset < b.code_offset; });
}

void CodeMap::AddScript(const format::ScriptRecord& record, std::string_view url) {
  scripts_[record.id] = Script{std::string(url), "", record.source_bytes, record.wide != 0};
}

void CodeMap::AddSource(const format::SourceRecord& part, std::string_view text) {
  if (part.total_bytes > kMostSource) return;
  Script& script = scripts_[part.script];
  script.source_bytes = part.total_bytes;
  if (part.offset == script.source.size() && script.source.size() + text.size() <= part.total_bytes)
    script.source.append(text);
}

void CodeMap::AddJscFunction(const format::JsFunctionRecord& record, std::string_view name, std::string_view url) {
  Function function;
  function.name = name;
  function.url = url;
  function.top_level = record.top_level != 0;
  function.script = record.script;
  function.start = record.start;
  function.end = record.end;
  jsc_functions_[record.id] = Intern(std::move(function));
}

CodeFrame CodeMap::Resolve(format::FrameKind kind, std::uint64_t value) const {
  if (kind == format::FrameKind::kJsc) {
    const auto found = jsc_functions_.find(static_cast<std::uint32_t>(value));
    return found == jsc_functions_.end() ? CodeFrame{} : CodeFrame{found->second, -1};
  }
  // A return address may lie just behind the code that made the call; the interpreter's value is the bytecode being
  // executed.
  const std::uint64_t address = kind == format::FrameKind::kJit ? value - 1 : value;
  auto at = codes_.upper_bound(address);
  if (at == codes_.begin()) return {};
  --at;
  const Code& code = at->second;
  if (address >= at->first + code.size) return {};
  CodeFrame frame{code.function, -1};
  const auto line =
      std::upper_bound(code.lines.begin(), code.lines.end(), address - at->first,
                       [](std::uint64_t offset, const LinePosition& entry) { return offset < entry.code_offset; });
  if (line != code.lines.begin()) frame.position = static_cast<std::int32_t>(std::prev(line)->position);
  return frame;
}

}  // namespace leaktrace::js
