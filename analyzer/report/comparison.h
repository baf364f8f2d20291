// Two traces side by side: what grows per request in the one and in the other, matched by the names of call sites,
// which stay the same where addresses do not. A pure function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzer/leak/evidence.h"

namespace leaktrace::report {

// A suspect as far as two traces can share it.
struct ComparedSite {
  std::string name;    // of the function that wanted the memory
  std::string script;  // the JavaScript function that it was called from, "" = none
  leak::Class kind = leak::Class::kUnclear;
  double bytes = 0;  // per unit of the load
  double blocks = 0;
};

enum class Change : std::uint8_t { kNew, kLarger, kSame, kSmaller, kGone };

// "new", "larger", "same", "smaller", "gone".
[[nodiscard]] const char* ChangeName(Change change);

struct ComparedRow {
  std::string name, script;
  Change change = Change::kSame;
  double bytes_before = 0, bytes_after = 0;
  double blocks_before = 0, blocks_after = 0;
  leak::Class kind = leak::Class::kUnclear;  // the worse of the two
};

// Sites of the same name and script are one row. Largest difference first. A difference below a tenth, or below a byte
// per unit, is none.
[[nodiscard]] std::vector<ComparedRow> Compare(const std::vector<ComparedSite>& before,
                                               const std::vector<ComparedSite>& after);

}  // namespace leaktrace::report
