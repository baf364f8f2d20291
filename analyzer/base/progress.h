// A progress bar on stderr for work that takes longer than a second, when stderr is a terminal; otherwise nothing. For
// one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace leaktrace {

class Progress {
 public:
  // `what` names the work: "reading server.ltrace".
  explicit Progress(std::string what);
  ~Progress();  // removes the bar
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap; draws at most ten times per second. `total` may grow.
  void Update(std::uint64_t done, std::uint64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_;
  Clock::time_point last_;
};

}  // namespace leaktrace
