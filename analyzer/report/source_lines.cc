#include "analyzer/report/source_lines.h"

#include <zstd.h>

#include <algorithm>

namespace leaktrace::report {
namespace {

// The largest source that is looked at: a trace may be damaged, and its sizes are not to be trusted.
constexpr std::size_t kMaxSource = 64 << 20;

std::string Decompress(const std::string& compressed) {
  const unsigned long long size = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > kMaxSource) return "";
  std::string text(size, '\0');
  const std::size_t read = ZSTD_decompress(text.data(), text.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(read) != 0) return "";
  text.resize(read);
  return text;
}

// UTF-16 code units of a character by the first byte of its UTF-8 form.
std::uint32_t Units(unsigned char first) {
  if ((first & 0xc0) == 0x80) return 0;
  return first >= 0xf0 ? 2 : 1;
}

}  // namespace

std::vector<std::uint32_t> LineStarts(std::string_view utf8) {
  std::vector<std::uint32_t> starts{0};
  std::uint32_t position = 0;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const char byte = utf8[i];
    position += Units(static_cast<unsigned char>(byte));
    const bool carriage_return = byte == '\r' && (i + 1 == utf8.size() || utf8[i + 1] != '\n');
    const std::string_view separator = utf8.substr(i >= 2 ? i - 2 : 0, 3);
    if (byte == '\n' || carriage_return || separator == "\u2028" || separator == "\u2029") starts.push_back(position);
  }
  return starts;
}

SourceLines::SourceLines(const std::vector<model::JsScript>& scripts) {
  for (const model::JsScript& script : scripts) {
    Lines& lines = scripts_[script.id];
    if (lines.script == nullptr || lines.script->source.empty()) lines.script = &script;
  }
}

std::uint32_t SourceLines::Line(std::uint32_t script, std::uint32_t position) {
  const auto found = scripts_.find(script);
  if (found == scripts_.end() || found->second.script->source.empty()) return 0;
  Lines& lines = found->second;
  if (!lines.loaded) {
    lines.loaded = true;
    const std::string text = Decompress(lines.script->source);
    if (text.empty()) return 0;
    lines.starts = LineStarts(text);
    for (const char byte : text) lines.end += Units(static_cast<unsigned char>(byte));
  }
  if (lines.starts.empty() || position > lines.end) return 0;
  const auto after = std::upper_bound(lines.starts.begin(), lines.starts.end(), position);
  return static_cast<std::uint32_t>(after - lines.starts.begin());
}

}  // namespace leaktrace::report
