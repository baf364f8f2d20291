// Which part of the run the evidence is taken from: the load, and the moment at which it is judged what the load has
// left behind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzer/leak/history.h"

namespace leaktrace::leak {

// What growth is divided by.
enum class Unit : std::uint8_t { kRequest, kIteration, kSecond };

// "request", "iteration", "second".
[[nodiscard]] const char* UnitName(Unit unit);

// The growth of the phase `phase` is that of `iterations` repetitions of something: `--per load=20000`.
struct Per {
  std::string phase;
  double iterations = 0;
};

// Reads `PHASE=COUNT`. Error: what is wrong with the text.
[[nodiscard]] absl::StatusOr<Per> ParsePer(const std::string& text);

struct Window {
  std::uint32_t first = 0;  // the load begins at this point of the timeline
  std::uint32_t last = 0;   // and ends at this one; last > first
  std::uint32_t end = 0;    // what lives at this point has outlived the load; end >= last
  Unit unit = Unit::kSecond;
  double units = 0;              // requests, iterations or seconds of the load, > 0
  std::vector<double> progress;  // for each point of the timeline how much of the load is done, 0..1
  std::string phase;             // the phase that is the load, "" = none
  bool marked = false;           // the phase was marked; false: it was told from the timeline
  bool settled = false;          // there is a time after the load in which what was in flight could end
  bool torn_down = false;        // the process freed most of its memory after `end`
};

// The load: the phase of `per` (the whole run where no phase was marked); else the phases called "load"; else, where
// requests are known, from a fifth of them to the last; else from a fifth of the run to its end, measured in
// allocations, which stand still when the program does. It always ends before the target's teardown. Errors: `per`
// names a phase that the trace has not, with the names of those it has; a timeline too short to say anything.
[[nodiscard]] absl::StatusOr<Window> ChooseWindow(const ProcessHistory& process, const std::optional<Per>& per);

}  // namespace leaktrace::leak
