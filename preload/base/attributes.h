// How functions of the library are marked: exported, on the hot path, or off it.
#pragma once

// A symbol that the target sees. Everything else is hidden, so that calls within the library need no PLT.
#define LEAKTRACE_EXPORT extern "C" __attribute__((visibility("default"), used))

// The hot path: always inlined, so that a hook is one straight piece of code.
#define LEAKTRACE_HOT inline __attribute__((always_inline))

// What the hot path calls rarely: out of line, and away from it.
#define LEAKTRACE_COLD __attribute__((noinline, cold))
