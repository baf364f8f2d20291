// Colours of terminal output. Without colour every function returns its text as it is.
#pragma once

#include <string>
#include <string_view>

namespace leaktrace::report {

class Style {
 public:
  explicit Style(bool colour) : colour_(colour) {}

  [[nodiscard]] std::string Bold(std::string_view text) const { return Wrap("1", text); }
  [[nodiscard]] std::string Dim(std::string_view text) const { return Wrap("2", text); }
  [[nodiscard]] std::string Red(std::string_view text) const { return Wrap("31", text); }
  [[nodiscard]] std::string Green(std::string_view text) const { return Wrap("32", text); }
  [[nodiscard]] std::string Yellow(std::string_view text) const { return Wrap("33", text); }
  [[nodiscard]] std::string Cyan(std::string_view text) const { return Wrap("36", text); }
  [[nodiscard]] std::string Warning(std::string_view text) const { return Wrap("1;31", text); }

 private:
  [[nodiscard]] std::string Wrap(std::string_view code, std::string_view text) const {
    if (!colour_ || text.empty()) return std::string(text);
    std::string result = "\x1b[";
    result.append(code).append("m").append(text).append("\x1b[0m");
    return result;
  }

  bool colour_;
};

}  // namespace leaktrace::report
