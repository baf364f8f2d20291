// What a process can learn about itself before main, without libc.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/ring.h"

namespace leaktrace::preload {

// Reads at most `capacity` - 1 bytes of a file and ends them with NUL. Returns how many, 0 when it cannot be read.
std::size_t ReadFile(const char* path, char* buffer, std::size_t capacity);

// The path of the running executable: what /proc/self/exe links to, else what the kernel was asked to execute
// (AT_EXECFN), else "unknown".
void ReadExecutablePath(char* buffer, std::size_t capacity);

// Makes `path` absolute, by the current working directory. False: it does not fit, or the directory is not known.
bool MakeAbsolute(const char* path, char* buffer, std::size_t capacity);

// kTsc where the TSC counts at a constant rate in every state (CPUID 0x80000007, EDX bit 8) and the
// kernel offers the TSC as a clock, which it ceases to when it finds the processors' counters apart. Where the kernel's
// list cannot be read, CPUID decides.
format::ClockKind ChooseClock();

}  // namespace leaktrace::preload
