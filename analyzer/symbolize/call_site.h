// Which line of a stack names its call site: the function that wanted the memory, not the allocator or the runtime's
// plumbing that the request went through. Decided by rules; analyzer/symbolize/call_site.rules holds the built-in ones
// and describes the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "analyzer/symbolize/symbolizer.h"

namespace leaktrace::symbolize {

// How well a line names a call site, best first.
enum class SiteRole : std::uint8_t {
  kSite = 0,       // the memory is its own wish
  kUnnamed = 1,    // it may be, but has no name
  kRuntime = 2,    // carries out what others ask for: an interpreter, an event loop, a thread's start
  kAllocator = 3,  // hands memory on: allocators, containers
};

// Immutable after the last Add: then any number of threads may ask.
class CallSiteRules {
 public:
  CallSiteRules();  // the built-in rules

  // Adds rules that are tried before those that are there. `name` stands for the text in errors, which say what is
  // wrong in which line; then nothing was added.
  absl::Status Add(std::string_view text, std::string_view name);
  absl::Status AddFile(const std::string& path);

  // Of a line by itself. Names are compared without parameter lists and template arguments, so full names have the same
  // roles.
  SiteRole RoleOf(const Line& line) const;

  // Index of the line that names the call site of a stack (innermost first): the first of the best role in it. 0 for an
  // empty stack.
  std::size_t Site(absl::Span<const Line* const> stack) const;

 private:
  enum class Field : std::uint8_t { kFunction, kModule, kFile };
  struct Rule {
    SiteRole role;
    Field field;
    std::size_t literal;  // characters before the first wildcard
    std::string pattern;
  };

  const Rule* Match(const Line& line) const;

  std::vector<Rule> rules_;  // the first that matches decides
};

}  // namespace leaktrace::symbolize
