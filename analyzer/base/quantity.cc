#include "analyzer/base/quantity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace leaktrace {
namespace {

// Three significant digits of a number below 1000.
std::string ThreeDigits(double value) {
  if (value < 9.995) return absl::StrFormat("%.2f", value);
  if (value < 99.95) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.0f", value);
}

}  // namespace

std::string FormatBytes(double bytes) {
  if (bytes < 0) return absl::StrCat("-", FormatBytes(-bytes));
  static constexpr auto kUnits = std::to_array<const char*>({"B", "kB", "MB", "GB", "TB", "PB"});
  std::size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  if (unit == 0) return absl::StrFormat("%.0f B", bytes);
  return ThreeDigits(bytes) + " " + kUnits[unit];
}

std::string FormatBytesChange(double bytes) {
  return bytes >= 0.5 ? absl::StrCat("+", FormatBytes(bytes)) : FormatBytes(bytes);
}

std::string FormatCount(std::uint64_t count) {
  std::string text = absl::StrCat(count);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

std::string FormatCountOf(std::uint64_t count, std::string_view noun) {
  return FormatCount(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string FormatRate(double rate) {
  if (rate < 0) return absl::StrCat("-", FormatRate(-rate));
  if (rate >= 999.5) return FormatCount(static_cast<std::uint64_t>(std::llround(rate)));
  if (rate >= 0.095 || rate == 0) return ThreeDigits(rate);
  return absl::StrFormat("%.2g", rate);
}

std::string FormatDuration(std::uint64_t nanoseconds) {
  if (nanoseconds == 0) return "0 s";
  const double seconds = static_cast<double>(nanoseconds) / 1e9;
  if (seconds < 1) return absl::StrCat(ThreeDigits(seconds * 1000), " ms");
  if (seconds < 100) return absl::StrCat(ThreeDigits(seconds), " s");
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole < 3600) return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
  return absl::StrFormat("%d h %02d min", whole / 3600, whole % 3600 / 60);
}

std::string FormatShare(double share) {
  const double percent = share * 100;
  if (percent >= 100) return "100 %";
  if (percent >= 99) return absl::StrFormat("%.2f %%", std::min(std::floor(percent * 100) / 100, 99.99));
  return absl::StrFormat("%.1f %%", percent);
}

std::optional<double> ParseBytes(std::string_view text) {
  const std::string stripped(absl::StripAsciiWhitespace(std::string(text)));
  const std::size_t digits = std::min(stripped.find_first_not_of("0123456789."), stripped.size());
  double value = 0;
  if (digits == 0 || !absl::SimpleAtod(stripped.substr(0, digits), &value)) return std::nullopt;
  std::string unit = absl::AsciiStrToLower(stripped.substr(digits));
  absl::StripLeadingAsciiWhitespace(&unit);
  static constexpr auto kUnits = std::to_array<std::pair<std::string_view, double>>({{"", 1},
                                                                                     {"b", 1},
                                                                                     {"k", 1e3},
                                                                                     {"kb", 1e3},
                                                                                     {"m", 1e6},
                                                                                     {"mb", 1e6},
                                                                                     {"g", 1e9},
                                                                                     {"gb", 1e9},
                                                                                     {"kib", 1024.0},
                                                                                     {"mib", 1024.0 * 1024},
                                                                                     {"gib", 1024.0 * 1024 * 1024}});
  for (const auto& [name, factor] : kUnits) {
    if (unit == name) return value * factor;
  }
  return std::nullopt;
}

}  // namespace leaktrace
