// Files of /proc and the like: small, without a size, there one moment and gone the next.
#pragma once

#include <string>

namespace leaktrace::record {

// All of the file, "" where it cannot be read.
[[nodiscard]] std::string ReadProcFile(const std::string& path);

}  // namespace leaktrace::record
