// From sites to suspects: groups of sites with one cause, weighed together.
#pragma once

#include <span>
#include <vector>

#include "analyzer/leak/verdict.h"

namespace leaktrace::leak {

// In the order of verdict.h. Sites of one cause are weighed as one, so that a leak that several allocations, callers
// and tiers of compiled code share is one suspect with one rate; those whose blocks merely come and go are kept out of
// it.
[[nodiscard]] std::vector<Suspect> FindSuspects(const ProcessHistory& process, std::span<const Candidate> candidates,
                                                const Window& window);

}  // namespace leaktrace::leak
