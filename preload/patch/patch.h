// Puts hooks into the code of an allocator that is linked statically into the executable, as the hook map says.
//
// Guarantees
// - Everything or nothing per allocator: where one entry cannot be patched, or does not behave as its role says, the
// allocator's code
//   stays as it was, and one line on standard error says so.
// - What is overwritten is compared first; no page is ever writable and executable at once.
// - Entries are called in a forked child before anything is patched: a crash or a hang there is a failed proof, nothing
// more.
#pragma once

#include "format/hook_map.h"
#include "format/ring.h"
#include "preload/base/attributes.h"

namespace leaktrace::preload {

// Before main, while the process has one thread, with the guard raised: the recorder is ready, so the hook map in
// `header`'s session is complete. A process whose code is patched already (a forked child) only reports that. Also
// tells JavaScriptCore's own allocator, through the environment, to use the system's (bmalloc reads `Malloc` when it
// first allocates), unless the option keep_libpas is set.
LEAKTRACE_COLD void PatchStaticAllocators(format::SessionHeader& header);

}  // namespace leaktrace::preload
