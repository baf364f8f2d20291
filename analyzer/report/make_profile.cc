#include "analyzer/report/make_profile.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "analyzer/report/history.h"

namespace leaktrace::report {
namespace {

using model::FrameId;
using model::OriginId;
using model::TraceModel;

// The modules of a trace, each once, found by the file name that lines have.
class Modules {
 public:
  explicit Modules(const TraceModel& model) {
    for (const model::Module& module : model.modules) {
      if (module.unloaded) continue;
      const std::string name = std::filesystem::path(module.path).filename().string();
      if (!indices_.try_emplace(name, modules_.size() + 1).second) continue;
      modules_.push_back({module.path, absl::BytesToHexString(module.build_id), module.begin, module.end});
    }
  }
  [[nodiscard]] std::uint32_t IndexOf(const std::string& name) const {
    const auto found = indices_.find(name);
    return found == indices_.end() ? 0 : static_cast<std::uint32_t>(found->second);
  }
  std::vector<Profile::Module> Take() { return std::move(modules_); }

 private:
  std::vector<Profile::Module> modules_;
  absl::flat_hash_map<std::string, std::size_t> indices_;
};

// A location for each frame that has lines; frames that are only marks in a stack have none.
class Locations {
 public:
  Locations(const TraceModel& model, const Names& names, const Modules& modules)
      : model_(model), names_(names), modules_(modules) {}

  std::vector<std::uint32_t> Stack(FrameId innermost) {
    std::vector<std::uint32_t> stack;
    for (FrameId id = innermost; id != 0; id = model_.stacks.Caller(id)) {
      const auto lines = names_.Lines(id);
      if (lines.empty()) continue;
      const auto [at, added] = indices_.try_emplace(id, locations_.size());
      if (added) locations_.push_back({modules_.IndexOf(lines[0].module), AddressOf(id), {lines.begin(), lines.end()}});
      stack.push_back(at->second);
    }
    return stack;
  }
  std::vector<Profile::Location> Take() { return std::move(locations_); }

 private:
  [[nodiscard]] std::uint64_t AddressOf(FrameId id) const {
    const model::StackFrame frame = model_.stacks.Get(id);
    return frame.kind == format::FrameKind::kNative ? frame.value : 0;
  }

  const TraceModel& model_;
  const Names& names_;
  const Modules& modules_;
  absl::flat_hash_map<FrameId, std::uint32_t> indices_;
  std::vector<Profile::Location> locations_;
};

}  // namespace

Profile MakeProfile(const TraceModel& model, Names& names, const ProfileOptions& options) {
  std::vector<OriginId> origins;
  std::vector<FrameId> stacks;
  for (OriginId id = 0; id < model.origins.size(); ++id) {
    if (model.origins[id].mapping != options.mappings || (id == model::kLostOrigin && options.mappings)) continue;
    origins.push_back(id);
    stacks.push_back(model.origins[id].stack);
  }
  names.Resolve(stacks);
  std::vector<OriginGrowth> growth(model.origins.size());
  if (options.window.has_value()) growth = GrowthByOrigin(model, *options.window);

  Profile profile;
  profile.title =
      model.program.arguments.empty() ? model.program.executable : absl::StrJoin(model.program.arguments, " ");
  profile.start_realtime = model.program.start_realtime;
  profile.duration = model.duration;
  Modules modules(model);
  Locations locations(model, names, modules);
  for (const OriginId id : origins) {
    const model::Origin& origin = model.origins[id];
    const model::OriginTotals& totals = model.totals[id];
    Profile::Sample sample;
    sample.values = {totals.live_bytes, totals.live_blocks,     growth[id].bytes,
                     growth[id].blocks, totals.allocated_bytes, totals.allocations};
    sample.stack = locations.Stack(origin.stack);
    if (id != model::kLostOrigin && !origin.mapping)
      sample.allocator = std::string(model.AllocatorName(origin.allocator));
    sample.request_phase = std::string(model::RequestPhaseName(origin.request_phase));
    if (origin.route < model.routes.size()) sample.route = model.routes[origin.route];
    profile.samples.push_back(std::move(sample));
  }
  profile.modules = modules.Take();
  profile.locations = locations.Take();
  return profile;
}

}  // namespace leaktrace::report
