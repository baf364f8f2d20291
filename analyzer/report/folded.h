// Folded stacks, as flamegraph.pl and its relatives read them (https://github.com/brendangregg/FlameGraph): a line per
// stack, its frames from the outermost to the innermost separated by ';', a space and a number.
#pragma once

#include <string>

#include "analyzer/report/profile.h"

namespace leaktrace::report {

// Lines in the order of their text, equal stacks added up; stacks of which there is nothing are left out. The sum of
// the numbers is profile.Total(metric).
[[nodiscard]] std::string Folded(const Profile& profile, Metric metric);

}  // namespace leaktrace::report
