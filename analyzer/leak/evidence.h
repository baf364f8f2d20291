// What the history of one call site, or of several together, says: does it leak, and how fast. Pure functions.
//
// Three observations are weighed against each other:
// - the survivors: of what was allocated in each part of the load, how much lives when it is over. It is the
// three-snapshot method with as
//   many snapshots as the load has parts. A leak leaves as much behind in every part; a warm-up in the first; what only
//   lives for a while, in the last.
// - the floor: the level that live memory never falls below again. It rises under a leak, however large the sawtooth
// above it, and it does
//   not where each new block replaces an old one.
// - the number of blocks: a table that is enlarged grows in bytes, but it stays one block.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analyzer/leak/history.h"
#include "analyzer/leak/window.h"

namespace leaktrace::leak {

enum class Class : std::uint8_t { kLeak, kUnclear, kWarmUp, kOneTime, kChurn };

// "leak", "unclear", "warm-up", "one-time", "churn".
[[nodiscard]] const char* ClassName(Class value);

// One or several sites together, a value for each point of the timeline (live, allocated so far) or interval
// (survivors).
struct Series {
  std::vector<double> live_bytes, live_blocks;
  std::vector<double> allocated_bytes, allocations;
  std::vector<double> survivor_bytes, survivor_blocks;

  explicit Series(std::size_t points);
  void Add(const SiteHistory& site);
};

struct Evidence {
  Class kind = Class::kChurn;
  std::string reason;     // one or two sentences for someone who writes JavaScript
  double confidence = 0;  // that the class is right, 0..1

  double growth_bytes = 0;  // allocated in the load and alive after it, without what was merely in flight
  double growth_blocks = 0;
  double retained_bytes = 0;  // the rise of the floor over the load
  double retained_blocks = 0;
  double allocated_bytes = 0;  // in the load
  double allocations = 0;

  Unit unit = Unit::kSecond;  // of the rates; kSecond also for what grows with time while requests come and go
  double bytes_per_unit = 0;
  double blocks_per_unit = 0;            // a whole number where the measured one differs by chance only
  double bytes_low = 0, bytes_high = 0;  // 95 % confidence interval of bytes_per_unit
  double fit = 0;                        // 0..1: how straight the growth is
  double flattening = 1;  // rate of the last third against that of the first: 1 = straight, 0 = it has stopped
  double onset = 0;       // share of the load after which the growth began, 0 = from the start
};

[[nodiscard]] Evidence Weigh(const Series& series, const ProcessHistory& process, const Window& window);

// Whether something of a site outlives the load, so that it is worth a name. Linear in the site's history.
[[nodiscard]] bool IsCandidate(const SiteHistory& site, const Window& window);

}  // namespace leaktrace::leak
