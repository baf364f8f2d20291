// Numbers as people read them. All functions are pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leaktrace {

// "0 B", "999 B", "1.00 kB", "12.3 MB", "123 GB": three significant digits, powers of 1000.
[[nodiscard]] std::string FormatBytes(double bytes);
// The same with a sign: "+1.00 kB", "-20.0 MB", "0 B".
[[nodiscard]] std::string FormatBytesChange(double bytes);
// "1,234,567".
[[nodiscard]] std::string FormatCount(std::uint64_t count);
// "1 block", "2,000 blocks".
[[nodiscard]] std::string FormatCountOf(std::uint64_t count, std::string_view noun);
// "12.0", "0.33", "1,234": at most three significant digits after the leading ones; for blocks per request and the
// like.
[[nodiscard]] std::string FormatRate(double rate);
// "3.2 ms", "12.4 s", "3 min 20 s", "2 h 05 min". The argument is in nanoseconds.
[[nodiscard]] std::string FormatDuration(std::uint64_t nanoseconds);
// "100 %", "99.97 %", "3.1 %"; never rounded up to 100.
[[nodiscard]] std::string FormatShare(double share);

// "100", "100B", "4k", "1.5MB", "2MiB" as bytes; empty for anything else.
[[nodiscard]] std::optional<double> ParseBytes(std::string_view text);

}  // namespace leaktrace
