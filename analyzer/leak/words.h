// Numbers as they are said in sentences.
#pragma once

#include <string>

namespace leaktrace::leak {

// "0 bytes", "338 bytes", "5.27 kB", "1.42 MB", "-3 bytes": powers of 1,000, three significant digits.
[[nodiscard]] std::string Bytes(double value);

// "12", "1.004", "1,200,000", "0.07": at most three decimals, less where they do not matter.
[[nodiscard]] std::string Number(double value);

// "1 block", "12 blocks", "1.5 blocks".
[[nodiscard]] std::string Count(double value, const std::string& noun);

// "37 %" of a share of 0.37; "less than 1 %".
[[nodiscard]] std::string Percent(double share);

}  // namespace leaktrace::leak
