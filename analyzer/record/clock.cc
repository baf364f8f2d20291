#include "analyzer/record/clock.h"

#include <time.h>
#include <x86intrin.h>

#include <algorithm>

namespace leaktrace::record {

Clock::Clock(const Session& session) : session_(session) { Read(); }

std::uint64_t Clock::Stamp() const {
  if (session_.facts().clock == format::ClockKind::kSequence) {
    // Pairs with the threads' fetch_add: what they published before is seen by the loads of the heads that follow.
    return session_.header().sequence.load(std::memory_order_acquire);
  }
  // The fences keep the loads of the heads behind the reading, and the reading behind what was before.
  _mm_lfence();
  const std::uint64_t ticks = __rdtsc();
  _mm_lfence();
  return ticks - session_.facts().start_ticks;
}

std::uint64_t Clock::Read() {
  // Less than this apart, and the granularity of the readings would show in the rate.
  constexpr std::uint64_t kSpanNs = 1'000'000;
  const std::uint64_t stamp = Stamp();
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::uint64_t monotonic =
      static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  const std::uint64_t start = session_.facts().start_monotonic_ns;
  if (last_ns_ - previous_ns_ >= kSpanNs) {
    previous_stamp_ = last_stamp_;
    previous_ns_ = last_ns_;
  }
  last_stamp_ = std::max(last_stamp_, stamp);
  last_ns_ = std::max(last_ns_, monotonic > start ? monotonic - start : 0);
  return stamp;
}

std::uint64_t Clock::Nanoseconds(std::uint64_t stamp) const {
  if (stamp >= last_stamp_ || last_stamp_ == previous_stamp_) return last_ns_;
  const double rate = static_cast<double>(last_ns_ - previous_ns_) / static_cast<double>(last_stamp_ - previous_stamp_);
  const double back = static_cast<double>(last_stamp_ - stamp) * rate;
  return back < static_cast<double>(last_ns_) ? last_ns_ - static_cast<std::uint64_t>(back) : 0;
}

std::uint64_t Clock::Ticks(std::uint64_t nanoseconds) const {
  return static_cast<std::uint64_t>(static_cast<double>(nanoseconds) * TicksPerSecond() / 1e9);
}

double Clock::TicksPerSecond() const {
  return last_ns_ == 0 ? 0 : static_cast<double>(last_stamp_) * 1e9 / static_cast<double>(last_ns_);
}

}  // namespace leaktrace::record
