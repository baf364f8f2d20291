#include <stdlib.h>

#include "format/jsc_layout.h"
#include "preload/js/frames.h"
#include "preload/session/process.h"

namespace leaktrace::preload::js {

constinit __thread EngineState engine_state;
Engine engine = Engine::kNone;

namespace {

// Read by JavaScriptCore when it starts (runtime/Options.cpp, with Bun's prefix): a frame that was inlined or replaced
// by a tail call cannot be seen.
void MakeJscExact() {
  static char tail_calls[] = "BUN_JSC_useTailCalls=0", inlining[] = "BUN_JSC_maximumInliningDepth=0";
  putenv(tail_calls);
  putenv(inlining);
}

}  // namespace

void Initialize() {
  if (process.header->options.js == format::JsNames::kOff) return;
  const auto& layout = *reinterpret_cast<const format::JscLayout*>(reinterpret_cast<const char*>(process.header) +
                                                                   process.header->jsc_layout_offset);
  if (layout.valid.load(std::memory_order_acquire) != 0) {  // matched by the recorder's release store
    engine = Engine::kJsc;
    if (process.header->options.js == format::JsNames::kExact) MakeJscExact();
  } else if (InitializeV8()) {
    engine = Engine::kV8;
  }
}

void BeforeMain() {
  if (engine == Engine::kV8 && process.header->options.js == format::JsNames::kExact) MakeV8Exact();
}

}  // namespace leaktrace::preload::js
