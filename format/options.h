// The options of the preloaded library: environment variables, one table. The library reads them in this order,
// `leaktrace help environment` prints them. Plain data, freestanding; the same rules as in ring.h hold.
#pragma once

#include <cstddef>

namespace leaktrace::format {

enum class Option : unsigned {
  kEnabled,
  kOutput,
  kExecutables,
  kChildren,
  kUnwind,
  kDepth,
  kOverflow,
  kRing,
  kJs,
  kHooks,
  kKeepLibpas,
  kRecorder,
  kVerbose,
  kFirst,  // internal
  kCount
};

struct OptionDescription {
  Option option;
  const char* name;
  const char* values;
  const char* standard;  // what holds when it is not set
  const char* help;
};

// In the order of Option. Internal ones, which users never set, have no help.
inline constexpr OptionDescription kOptions[] = {
    {Option::kEnabled, "LEAKTRACE", "1|0", "1", "0: the library does nothing."},
    {Option::kOutput, "LEAKTRACE_OUTPUT", "PATH", "leaktrace.%e.%p.ltrace",
     "Where the trace is written. %e is the executable's name, %p its process id, %t its start time in seconds since "
     "1970, %% a percent "
     "sign. A relative path starts at the working directory that the process was started in."},
    {Option::kExecutables, "LEAKTRACE_EXECUTABLES", "NAME,...", "",
     "Executables that are traced, by file name or absolute path. Without it: the first executable that is not a shell "
     "or a launcher "
     "(sh, env, timeout, npm, ...), and of its descendants those that run the same executable or a JavaScript runtime "
     "(node, bun)."},
    {Option::kChildren, "LEAKTRACE_CHILDREN", "1|0", "1",
     "0: only the first process is traced, none that it starts or forks."},
    {Option::kUnwind, "LEAKTRACE_UNWIND", "rows|fp|libunwind", "rows",
     "How stacks are captured: by the modules' unwind tables and frame pointers where there are none, by frame "
     "pointers alone, or by "
     "libunwind (slow, for comparison; libunwind.so.8 must be installed)."},
    {Option::kDepth, "LEAKTRACE_DEPTH", "1..1024", "128",
     "Most frames of a stack that are kept; deeper ones are counted as truncated."},
    {Option::kOverflow, "LEAKTRACE_OVERFLOW", "wait|drop", "wait",
     "What a thread does when its ring is full: wait for the recorder, or drop the event and count it."},
    {Option::kRing, "LEAKTRACE_RING", "64K..64M", "1M", "Bytes of one thread's ring, a power of two."},
    {Option::kJs, "LEAKTRACE_JS", "names|off|exact", "names",
     "JavaScript frames: named; not named; or exact, which switches the runtime's inlining and tail calls off."},
    {Option::kHooks, "LEAKTRACE_HOOKS", "1|0", "1",
     "0: allocators that are linked into the executable are not looked for."},
    {Option::kKeepLibpas, "LEAKTRACE_KEEP_LIBPAS", "0|1", "0",
     "1: JavaScriptCore keeps its own allocator, whose blocks are not seen, instead of the system's."},
    {Option::kRecorder, "LEAKTRACE_RECORDER", "PATH", "../bin/leaktrace beside the library",
     "The leaktrace executable that records."},
    {Option::kVerbose, "LEAKTRACE_VERBOSE", "0|1", "0", "1: the recorder keeps standard error and says what it does."},
    {Option::kFirst, "LEAKTRACE_FIRST", "PATH", "", ""},
};
inline constexpr std::size_t kOptionCount = sizeof(kOptions) / sizeof(kOptions[0]);
static_assert(kOptionCount == static_cast<std::size_t>(Option::kCount));

}  // namespace leaktrace::format
