// Starts the recorder as a detached process.
#pragma once

#include <cstdint>

namespace leaktrace::preload {

struct Launch {
  const char* executable;          // path of `leaktrace`
  int descriptor;                  // the session's memfd; descriptor 3 of the recorder
  const char* const* environment;  // of the target; the recorder gets it without LD_PRELOAD and LEAKTRACE_*
  bool keep_standard_error;
};

// Runs `leaktrace record --session-fd 3` in a session of its own. It is not a child that the target could see: the
// process between them is waited for here, by its id, and ends without a signal to the target. (Where the target is
// process 1 or a subreaper, the kernel makes the recorder its child.) The recorder has default signal dispositions, no
// blocked signals and no descriptors but 0 to 3.
//
// Returns the recorder's process id, or a negated error number. Calls nothing of libc; the target's other threads run
// on meanwhile.
long LaunchRecorder(const Launch& launch);

}  // namespace leaktrace::preload
