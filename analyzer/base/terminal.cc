#include "analyzer/base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace leaktrace {
namespace {

constexpr std::size_t kPlainWidth = 100;
constexpr std::size_t kLeastWidth = 40;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here changes the environment
  return value == nullptr ? "" : value;
}

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Bytes of the first `columns` characters.
std::size_t PrefixBytes(std::string_view text, std::size_t columns) {
  std::size_t i = 0;
  while (i < text.size()) {
    if (!IsContinuation(text[i]) && columns-- == 0) break;
    ++i;
  }
  return i;
}

bool Utf8Locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = absl::AsciiStrToLower(Environment(name));
    if (value.empty()) continue;
    return absl::StrContains(value, "utf-8") || absl::StrContains(value, "utf8");
  }
  return true;  // containers set none, and their logs are shown by something that knows UTF-8
}

}  // namespace

Terminal DescribeTerminal(int descriptor, ColourChoice choice) {
  const bool terminal = isatty(descriptor) == 1;
  Terminal result;
  result.width = kPlainWidth;
  winsize size{};
  int columns = 0;
  if (terminal && ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    result.width = size.ws_col;
  } else if (absl::SimpleAtoi(Environment("COLUMNS"), &columns) && columns > 0) {
    result.width = static_cast<std::size_t>(columns);
  }
  result.width = std::max(result.width, kLeastWidth);
  result.colour = choice == ColourChoice::kAlways || (choice == ColourChoice::kAuto && terminal &&
                                                      Environment("NO_COLOR").empty() && Environment("TERM") != "dumb");
  result.unicode = Utf8Locale();
  return result;
}

std::size_t TextWidth(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

std::string ElideMiddle(std::string_view text, std::size_t width, bool unicode) {
  const std::size_t columns = TextWidth(text);
  if (columns <= width) return std::string(text);
  const std::string_view mark = unicode ? "…" : "...";
  const std::size_t mark_width = TextWidth(mark);
  if (width <= mark_width) return ElideEnd(text, width, unicode);
  // The end of a name says more than its beginning: namespaces and folders come first.
  const std::size_t left = (width - mark_width) / 3;
  const std::size_t right = width - mark_width - left;
  std::string result(text.substr(0, PrefixBytes(text, left)));
  result += mark;
  result += text.substr(PrefixBytes(text, columns - right));
  return result;
}

std::string ElideEnd(std::string_view text, std::size_t width, bool unicode) {
  if (TextWidth(text) <= width) return std::string(text);
  const std::string_view mark = unicode ? "…" : "...";
  const std::size_t mark_width = TextWidth(mark);
  if (width <= mark_width) return std::string(text.substr(0, PrefixBytes(text, width)));
  std::string result(text.substr(0, PrefixBytes(text, width - mark_width)));
  result += mark;
  return result;
}

std::string PadRight(std::string_view text, std::size_t width) {
  const std::size_t columns = TextWidth(text);
  return std::string(text) + std::string(columns < width ? width - columns : 0, ' ');
}

std::string PadLeft(std::string_view text, std::size_t width) {
  const std::size_t columns = TextWidth(text);
  return std::string(columns < width ? width - columns : 0, ' ') + std::string(text);
}

std::string Wrap(std::string_view text, std::size_t width, std::size_t indent) {
  std::string result;
  std::size_t column = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    begin = end + 1;
    if (word.empty()) continue;
    const std::size_t columns = TextWidth(word);
    if (column > indent && column + 1 + columns > width) {
      result += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (!result.empty()) {
      result += ' ';
      ++column;
    }
    result += word;
    column += columns;
  }
  return result;
}

std::string Printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char byte : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(byte))) {
      if (byte == '\t' || byte == '\n') result += ' ';
      continue;
    }
    result += byte;
  }
  return result;
}

}  // namespace leaktrace
