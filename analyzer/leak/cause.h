// What a stack says of the memory that was allocated under it: whose it is, and which other stacks belong to the same
// leak.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "analyzer/symbolize/call_site.h"
#include "analyzer/symbolize/symbolizer.h"

namespace leaktrace::leak {

// A line of a stack, with its role by the call-site rules.
struct StackLine {
  const symbolize::Line* line = nullptr;
  symbolize::SiteRole role = symbolize::SiteRole::kSite;
};

enum class Owner : std::uint8_t {
  kNative,    // native code alone decides when it is freed
  kJsObject,  // the content of a JavaScript object (ArrayBuffer, Buffer, string): freed when the object is collected
  kJsEngine,  // what the engine needs to manage its heap and its code: grows with the JavaScript heap
};

// By the functions between the allocation and the innermost JavaScript function. `stack` is innermost first.
[[nodiscard]] Owner OwnerOf(std::span<const StackLine> stack);

// By what stacks are told to belong to the same leak. The JavaScript side alone is not enough: an optimising compiler
// makes one function of several, so that the innermost JavaScript function changes while the program runs.
struct Cause {
  std::string chain;   // the functions from the allocation to JavaScript, or to the thread's start where there is none
  std::string entry;   // the native function that JavaScript has called; "" without a name or without JavaScript
  std::string script;  // the innermost JavaScript function, with its file; "" where there is none or it has no name
};
[[nodiscard]] Cause CauseOf(std::span<const StackLine> stack);

}  // namespace leaktrace::leak
