#include "analyzer/js/source_places.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "analyzer/js/function_index.h"

namespace leaktrace::js {
namespace {

constexpr std::uintmax_t kLargestFile = 16 << 20;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string DecodePercent(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

}  // namespace

std::optional<std::string> LocalPath(std::string_view url) {
  constexpr std::string_view kScheme = "file://";
  std::string path;
  if (url.starts_with('/')) {
    path = url;
  } else if (url.starts_with(kScheme) && url.substr(kScheme.size()).starts_with('/')) {
    path = DecodePercent(url.substr(kScheme.size()));
  } else {
    return std::nullopt;
  }
  // A loader's query (`/app/a.mjs?v=2`) is no part of the file's name, unless there is such a file.
  std::error_code error;
  if (!std::filesystem::exists(path, error)) path = path.substr(0, path.find('?'));
  return path;
}

const SourcePlaces::File& SourcePlaces::Open(const std::string& url) {
  const auto [entry, fresh] = files_.try_emplace(url);
  File& file = entry->second;
  if (!fresh) return file;
  const auto path = LocalPath(url);
  std::error_code error;
  if (!path || !std::filesystem::is_regular_file(*path, error) ||
      std::filesystem::file_size(*path, error) > kLargestFile || error)
    return file;
  std::ifstream stream(*path, std::ios::binary);
  file.units = UnitsOfUtf8(std::string(std::istreambuf_iterator<char>(stream), {}));
  file.lines.push_back(0);
  for (std::size_t i = 0; i < file.units.size(); ++i) {
    if (file.units[i] == '\n') file.lines.push_back(static_cast<std::uint32_t>(i + 1));
  }
  return file;
}

Place SourcePlaces::Position(const std::string& url, std::int32_t position) {
  if (position < 0) return {};
  const File& file = Open(url);
  if (static_cast<std::size_t>(position) >= file.units.size()) return {};
  const auto line =
      std::prev(std::upper_bound(file.lines.begin(), file.lines.end(), static_cast<std::uint32_t>(position)));
  return {static_cast<std::uint32_t>(line - file.lines.begin() + 1), static_cast<std::uint32_t>(position - *line + 1)};
}

Place SourcePlaces::Definition(const Function& function, std::uint32_t script_id, const Script& script) {
  if (script.source.empty() || script.source.size() != script.source_bytes) return {};
  const auto [entry, fresh] = scripts_.try_emplace(script_id);
  Definitions& definitions = entry->second;
  if (fresh) {
    const File& file = Open(script.url);
    if (!file.units.empty()) {
      const auto transpiled = FindFunctions(script.wide ? UnitsOfUtf16(script.source) : UnitsOfLatin1(script.source));
      const auto original = FindFunctions(file.units);
      const auto aligned = AlignFunctions(transpiled, original);
      for (std::size_t i = 0; i < transpiled.size(); ++i) {
        if (aligned[i] == kNoFunction) continue;
        const FunctionDefinition& definition = original[aligned[i]];
        definitions[static_cast<std::uint32_t>(transpiled[i].parameters)] = {definition.line, definition.column};
      }
    }
  }
  const auto found = definitions.find(function.start);
  return found == definitions.end() ? Place{} : found->second;
}

}  // namespace leaktrace::js
