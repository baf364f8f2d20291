// Numbers as they are said in sentences.
#pragma once

#include <string>

namespace leaktrace::leak {

// "1 block", "12 blocks", "0.33 blocks"; whole numbers have no decimals.
[[nodiscard]] std::string Count(double value, const std::string& noun);

// "37 %" of a share of 0.37; "less than 1 %".
[[nodiscard]] std::string Percent(double share);

}  // namespace leaktrace::leak
