// Cuts the timeline into run phases: by marks where there are any, otherwise by the traffic. For one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/model/trace_model.h"

namespace leaktrace::model {

// A run phase begins here; the one before ends.
struct PhaseBegin {
  std::string name;
  bool detected = false;
  Checkpoint state;
};

// What the traffic says of phases: `load` begins with the first connection or request, `settle` a quarter of a second
// after the last request, when its response and what follows it are done.
class TrafficPhases {
 public:
  static constexpr std::uint64_t kQuiet = 250'000'000;  // ns

  // When a state is to be handed to SawQuiet, unless a request comes before; UINT64_MAX = never.
  [[nodiscard]] std::uint64_t quiet_due() const { return quiet_due_; }
  void SawTraffic(const Checkpoint& state);
  void SawRequest(std::uint64_t time) {
    quiet_due_ = time + kQuiet;
    quiet_.reset();
  }
  void SawQuiet(const Checkpoint& state) {
    quiet_due_ = UINT64_MAX;
    quiet_ = state;
  }
  [[nodiscard]] bool saw_traffic() const { return traffic_.has_value(); }

  [[nodiscard]] std::vector<PhaseBegin> Begins() const;

 private:
  std::uint64_t quiet_due_ = UINT64_MAX;
  std::optional<Checkpoint> traffic_;
  std::optional<Checkpoint> quiet_;
};

// `begins` is in the order of time; what lies before the first is `startup` (`run`, if there is none at all). Empty
// phases are left out. The result is never empty.
[[nodiscard]] std::vector<RunPhase> MakeRunPhases(const std::vector<PhaseBegin>& begins, const Checkpoint& end,
                                                  const Timeline& timeline);

}  // namespace leaktrace::model
