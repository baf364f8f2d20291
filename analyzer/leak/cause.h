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

// Stacks with equal keys are one suspect: the calls that one JavaScript function makes into one native function,
// whatever that allocates on its way, through whatever callers and tiers of compiled code it was reached. Without
// JavaScript in the stack, the functions from the allocation to the thread's start.
[[nodiscard]] std::string CauseKey(std::span<const StackLine> stack);

}  // namespace leaktrace::leak
