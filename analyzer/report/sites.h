// Call sites: what is live (or was allocated), grouped by where in the program it was allocated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "analyzer/model/trace_model.h"
#include "analyzer/report/names.h"

namespace leaktrace::report {

enum class Sort { kBytes, kBlocks, kAllocations, kAllocated, kPeak };
// kSite: the same functions from the allocation out to the first JavaScript function (to the outermost frame where
// there is none); whatever called that function, and whatever lines the calls are on, belongs to one site. kStack: the
// same call stack, address by address.
enum class Group { kSite, kStack };

struct SiteOptions {
  Sort sort = Sort::kBytes;
  Group group = Group::kSite;
  bool mappings = false;             // of mappings instead of heap blocks
  std::vector<std::string> filters;  // all must hold, see Filter
};

struct Site {
  std::uint64_t bytes = 0, blocks = 0;  // live at the end
  std::uint64_t allocations = 0, allocated_bytes = 0;
  std::uint64_t peak_bytes = 0, peak_blocks = 0;
  std::string name;                                 // of the function that wanted the memory; "" = no stack
  model::FrameId stack = 0;                         // of the largest part
  std::size_t stacks = 0;                           // different ones
  std::vector<model::OriginId> origins;             // largest part first
  model::OriginId largest = 0;                      // decides allocator, request phase and route
  std::optional<std::uint32_t> run_phase;           // in which most of what is live was allocated
  std::uint64_t phase_bytes = 0, phase_blocks = 0;  // live, of that run phase
};

// Sites that have anything by the measure they are sorted by, largest first. Resolves the names of all their stacks.
[[nodiscard]] std::vector<Site> MakeSites(const model::TraceModel& model, Names& names, const SiteOptions& options);

// The sum over sites.
struct SiteSum {
  std::uint64_t bytes = 0, blocks = 0;
};
[[nodiscard]] SiteSum SumSites(absl::Span<const Site> sites);

// Whether a stack passes a filter. `text`: some function, module or file of the stack contains it, whatever its case.
// `!text`: none does. `allocator:text`, `request:text` (request phase), `route:text`: that property contains it.
class Filter {
 public:
  explicit Filter(const std::string& text);
  [[nodiscard]] bool Matches(const model::TraceModel& model, const Names& names, model::OriginId origin) const;

 private:
  enum class Field { kStack, kAllocator, kRequest, kRoute };
  Field field_ = Field::kStack;
  bool negated_ = false;
  std::string text_;
};

}  // namespace leaktrace::report
