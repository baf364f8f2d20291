#include "analyzer/js/code_name.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace leaktrace::js {
namespace {

// Cuts ":NUMBER" off the end of `text`; false where there is none.
bool TakeNumber(std::string_view& text, std::uint32_t& number) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const char* const end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data() + colon + 1, end, number);
  if (error != std::errc() || parsed != end) return false;
  text.remove_suffix(text.size() - colon);
  return true;
}

// Where the URL begins in "function name url". Function names may hold spaces ("get size"), URLs too ("/home/a
// b/c.js"), so the first thing that looks like the beginning of a URL counts; without one the last word.
std::size_t FindUrl(std::string_view text) {
  std::size_t first = std::string_view::npos;
  for (const std::string_view start :
       {" /", " file://", " node:", " data:", " blob:", " http://", " https://", " wasm://", " evalmachine."}) {
    first = std::min(first, text.find(start));
  }
  return first != std::string_view::npos ? first : text.rfind(' ');
}

format::CodeKind TakeTier(std::string_view& text) {
  if (text.empty()) return format::CodeKind::kOther;
  const char mark = text.front();
  format::CodeKind kind = format::CodeKind::kOther;
  if (mark == '~') kind = format::CodeKind::kBytecode;
  if (mark == '^') kind = format::CodeKind::kBaseline;
  if (mark == '+' || mark == '*' || mark == 'o') kind = format::CodeKind::kOptimized;
  if (kind == format::CodeKind::kOther) return kind;
  text.remove_prefix(1);
  if (mark == 'o' && !text.empty() && (text.front() == '+' || text.front() == '*')) text.remove_prefix(1);
  if (text.starts_with('\'')) text.remove_prefix(1);
  return kind;
}

}  // namespace

CodeName ParseCodeName(std::string_view name) {
  CodeName parsed;
  const std::size_t colon = name.find(':');
  const std::string_view tag = name.substr(0, colon);
  std::string_view rest = colon == std::string_view::npos ? name : name.substr(colon + 1);
  parsed.function = rest;
  if (tag == "Builtin" || tag == "BytecodeHandler" || tag == "Stub") {
    parsed.kind = format::CodeKind::kBuiltin;
    return parsed;
  }
  parsed.top_level = tag == "Script" || tag == "Eval";
  // V8 calls lazily compiled functions, functions, callbacks of regular expressions and more by tags of their own; all
  // that matters is whether a tier mark follows.
  if (tag != "JS" && tag != "Function" && tag != "LazyCompile" && !parsed.top_level) return parsed;
  parsed.javascript = true;
  parsed.kind = TakeTier(rest);
  if (TakeNumber(rest, parsed.column)) {
    if (!TakeNumber(rest, parsed.line)) {
      parsed.line = parsed.column;
      parsed.column = 0;
    }
  }
  const std::size_t url = FindUrl(rest);
  parsed.function = url == std::string_view::npos ? rest : rest.substr(0, url);
  if (url != std::string_view::npos) parsed.url = rest.substr(url + 1);
  return parsed;
}

}  // namespace leaktrace::js
