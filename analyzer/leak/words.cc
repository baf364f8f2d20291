#include "analyzer/leak/words.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace leaktrace::leak {
namespace {

std::string WithSeparators(std::uint64_t value) {
  std::string digits = absl::StrCat(value);
  for (std::size_t i = digits.size(); i > 3;) {
    i -= 3;
    digits.insert(i, 1, ',');
  }
  return digits;
}

}  // namespace

std::string Number(double value) {
  const double size = std::abs(value);
  std::string text;
  if (size >= 100 || size == std::floor(size)) {
    text = WithSeparators(static_cast<std::uint64_t>(std::llround(size)));
  } else {
    text = absl::StrFormat(size >= 10 ? "%.1f" : size >= 1 ? "%.2f" : "%.3f", size);
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
  }
  return value < 0 && text != "0" ? "-" + text : text;
}

std::string Bytes(double value) {
  const double size = std::abs(value);
  if (size < 999.5) return absl::StrCat(Number(value), " bytes");
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  double scaled = size / 1000;
  std::size_t unit = 0;
  while (scaled >= 999.5 && unit + 1 < std::size(kUnits)) {
    scaled /= 1000;
    ++unit;
  }
  return absl::StrFormat("%s%.*f %s", value < 0 ? "-" : "",
                         scaled < 9.995   ? 2
                         : scaled < 99.95 ? 1
                                          : 0,
                         scaled, kUnits[unit]);
}

std::string Count(double value, const std::string& noun) {
  const std::string number = Number(value);
  return absl::StrCat(number, " ", noun, number == "1" ? "" : "s");
}

std::string Percent(double share) {
  if (share > 0 && share < 0.01) return "less than 1 %";
  return absl::StrFormat("%.0f %%", 100 * share);
}

}  // namespace leaktrace::leak
