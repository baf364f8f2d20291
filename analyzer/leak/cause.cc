#include "analyzer/leak/cause.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace leaktrace::leak {
namespace {

using symbolize::LineKind;
using symbolize::SiteRole;

// Prefixes of function names, of V8 (src/objects/backing-store.cc, src/api/api.cc), Node (src/api/environment.cc,
// src/node_buffer.cc, src/js_native_api_v8.cc) and JavaScriptCore (runtime/ArrayBuffer.cpp).
constexpr std::string_view kJsObjectFunctions[] = {
    "v8::internal::BackingStore::",
    "v8::ArrayBuffer::",
    "v8::SharedArrayBuffer::",
    "node::NodeArrayBufferAllocator::",
    "node::DebuggingArrayBufferAllocator::",
    "node::ArrayBufferAllocator::",
    "node::Buffer::New",
    "node::Buffer::Copy",
    "napi_create_buffer",
    "napi_create_arraybuffer",
    "JSC::ArrayBuffer::",
    "JSC::ArrayBufferContents::",
    "JSC::JSArrayBufferView::",
};

// V8's src/heap, src/codegen and src/compiler.
constexpr std::string_view kJsEngineFunctions[] = {
    "v8::internal::Heap::",
    "v8::internal::MemoryAllocator::",
    "v8::internal::PagedSpace",
    "v8::internal::PagedNewSpace",
    "v8::internal::NewSpace::",
    "v8::internal::SemiSpace",
    "v8::internal::LargeObjectSpace",
    "v8::internal::OldLargeObjectSpace",
    "v8::internal::NewLargeObjectSpace",
    "v8::internal::CompactionSpace",
    "v8::internal::MainAllocator",
    "v8::internal::MemoryChunk",
    "v8::internal::MutablePage",
    "v8::internal::Page",
    "v8::internal::SlotSet",
    "v8::internal::PossiblyEmptyBuckets",
    "v8::internal::MarkingBarrier",
    "v8::internal::MarkingWorklists",
    "v8::internal::MarkCompactCollector",
    "v8::internal::MinorMarkSweepCollector",
    "v8::internal::ConcurrentMarking",
    "v8::internal::IncrementalMarking",
    "v8::internal::Scavenger",
    "v8::internal::Sweeper",
    "v8::internal::ArrayBufferSweeper",
    "v8::internal::StringTable",
    "v8::internal::ExternalEntityTable",
    "v8::internal::CodeRange",
    "v8::internal::VirtualMemory",
    "v8::PageAllocator",
    "v8::base::PageAllocator",
    "v8::base::BoundedPageAllocator",
    "v8::base::RegionAllocator",
    "v8::base::OS::",
    "heap::base::",
    "JSC::MarkedBlock",
    "JSC::MarkedSpace",
    "JSC::BlockDirectory",
    "JSC::PreciseAllocation",
    "JSC::Heap::",
};

template <std::size_t kCount>
bool HasPrefix(std::string_view function, const std::string_view (&prefixes)[kCount]) {
  return std::any_of(std::begin(prefixes), std::end(prefixes),
                     [&](std::string_view prefix) { return function.starts_with(prefix); });
}

// Index of the innermost JavaScript line, named or not; the stack's size where there is none.
std::size_t InnermostJavaScript(std::span<const StackLine> stack) {
  for (std::size_t i = 0; i < stack.size(); ++i) {
    const symbolize::Line& line = *stack[i].line;
    const bool generated = line.kind == LineKind::kUnknown && line.module.empty() && line.function.empty();
    if (line.kind == LineKind::kJs || generated) return i;
  }
  return stack.size();
}

// Code without a name is known by its place; of a function that has one, the place in it does not matter.
std::string Identity(const symbolize::Line& line) {
  return line.function.empty() ? symbolize::DisplayName(line) : absl::StrCat(line.function, "@", line.module);
}

}  // namespace

Owner OwnerOf(std::span<const StackLine> stack) {
  for (const StackLine& at : stack.first(InnermostJavaScript(stack))) {
    // Handles hold objects; native code makes them, and has to release them.
    if (at.line->function.starts_with("v8::internal::GlobalHandles::")) return Owner::kNative;
    if (HasPrefix(at.line->function, kJsObjectFunctions)) return Owner::kJsObject;
    if (HasPrefix(at.line->function, kJsEngineFunctions)) return Owner::kJsEngine;
  }
  return Owner::kNative;
}

Cause CauseOf(std::span<const StackLine> stack) {
  const std::size_t script = InnermostJavaScript(stack);
  Cause cause;
  for (const StackLine& at : stack.first(script)) {
    if (!at.line->inlined) absl::StrAppend(&cause.chain, Identity(*at.line), "\n");
  }
  if (script == stack.size()) return cause;
  for (std::size_t i = script; i-- > 0 && cause.entry.empty();) {
    if (stack[i].role == SiteRole::kSite) cause.entry = stack[i].line->function;
  }
  const symbolize::Line& line = *stack[script].line;
  if (line.kind == LineKind::kJs) cause.script = absl::StrCat(line.function, "\n", line.file);
  return cause;
}

}  // namespace leaktrace::leak
