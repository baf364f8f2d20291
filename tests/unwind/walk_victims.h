// Functions with stacks of every shape, compiled several times with different options (LEAKTRACE_VICTIMS names the
// namespace). Each calls `probe` at its innermost point.
#pragma once

using Probe = void (*)();

struct WalkVictims {
  const char* name;
  void (*plain)(Probe probe, int depth);
  void (*variable_arrays)(Probe probe, int depth);
  void (*realigned)(Probe probe, int depth);
  void (*large_frames)(Probe probe, int depth);
  void (*sort_callback)(Probe probe);
  void (*once_callback)(Probe probe);
  void (*signal_handler)(Probe probe);
  void (*signal_on_alternate_stack)(Probe probe);
  void (*never_returns)(Probe probe);    // leaves by an exception, thrown after the probe
  void (*while_unwinding)(Probe probe);  // from a destructor that an exception runs
  void (*exit_like)(Probe probe);        // the call is the last instruction of its function
};

extern const WalkVictims kVictimsOptimized, kVictimsFramePointers, kVictimsUnoptimized, kVictimsClang, kVictimsSections;
