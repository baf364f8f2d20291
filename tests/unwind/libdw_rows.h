// Unwind rows as libdw sees them: the reference for the row builder.
#pragma once

#include <string>

namespace leaktrace {

// Fails the running test where the rows of the file at `path` and libdw's answers differ at any of `samples` addresses:
// half of them at the borders of rows, where an error of one byte shows, half anywhere in the code.
void CompareWithLibdw(const std::string& path, int samples);

}  // namespace leaktrace
