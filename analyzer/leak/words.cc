#include "analyzer/leak/words.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "analyzer/base/quantity.h"

namespace leaktrace::leak {

std::string Count(double value, const std::string& noun) {
  const bool whole = value >= 0 && value == std::floor(value);
  const std::string number = whole ? FormatCount(static_cast<std::uint64_t>(value)) : FormatRate(value);
  return absl::StrCat(number, " ", noun, value == 1 ? "" : "s");
}

std::string Percent(double share) {
  if (share > 0 && share < 0.01) return "less than 1 %";
  return absl::StrFormat("%.0f %%", 100 * share);
}

}  // namespace leaktrace::leak
