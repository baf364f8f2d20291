// What the terminal can show, and text fitted to it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace leaktrace {

enum class ColourChoice { kAuto, kAlways, kNever };

struct Terminal {
  std::size_t width = 80;  // columns
  bool colour = false;
  bool unicode = true;
};

// Of a file descriptor. Colour by kAuto: it is a terminal, TERM is not "dumb" and NO_COLOR is not set (no-color.org).
// Width: the terminal's, otherwise COLUMNS, otherwise 100; at least 40. Unicode unless the locale's character set is
// stated and is not UTF-8.
[[nodiscard]] Terminal DescribeTerminal(int descriptor, ColourChoice choice);

// Columns that a UTF-8 text takes, counting every character as one: names of functions and files hardly ever have wide
// ones.
[[nodiscard]] std::size_t TextWidth(std::string_view text);

// At most `width` columns: what is too long loses its middle ("node::crypto::…::ToLegacy") or its end.
[[nodiscard]] std::string ElideMiddle(std::string_view text, std::size_t width, bool unicode);
[[nodiscard]] std::string ElideEnd(std::string_view text, std::size_t width, bool unicode);

// Padded with spaces to `width` columns.
[[nodiscard]] std::string PadRight(std::string_view text, std::size_t width);
[[nodiscard]] std::string PadLeft(std::string_view text, std::size_t width);

// Lines of at most `width` columns, broken at spaces; every line after the first begins with `indent` spaces.
[[nodiscard]] std::string Wrap(std::string_view text, std::size_t width, std::size_t indent);

// Without control characters and escape sequences: names and arguments come from the traced program.
[[nodiscard]] std::string Printable(std::string_view text);

}  // namespace leaktrace
