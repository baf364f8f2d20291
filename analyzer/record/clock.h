// From stamps to nanoseconds.
#pragma once

#include <cstdint>

#include "analyzer/record/session.h"

namespace leaktrace::record {

// The stamps' clock beside CLOCK_MONOTONIC, read anew for every pass over the rings. A time between two readings is
// interpolated: so neither a frequency that the kernel got wrong nor a clock that counts events (ClockKind::kSequence)
// adds up to an error. One thread.
class Clock {
 public:
  explicit Clock(const Session& session);

  // Reads both clocks. What was stamped before this call has a stamp below the one that is returned.
  std::uint64_t Read();

  // Nanoseconds since the session began. Stamps that were made after the last Read give its time.
  [[nodiscard]] std::uint64_t Nanoseconds(std::uint64_t stamp) const;
  // Of the last Read.
  [[nodiscard]] std::uint64_t now() const { return last_ns_; }
  // The stamp at which `nanoseconds` will have passed since that stamp, by the present rate.
  [[nodiscard]] std::uint64_t Ticks(std::uint64_t nanoseconds) const;
  [[nodiscard]] double TicksPerSecond() const;

 private:
  [[nodiscard]] std::uint64_t Stamp() const;

  const Session& session_;
  std::uint64_t previous_stamp_ = 0, previous_ns_ = 0;
  std::uint64_t last_stamp_ = 0, last_ns_ = 0;
};

}  // namespace leaktrace::record
