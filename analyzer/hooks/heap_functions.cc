#include "analyzer/hooks/heap_functions.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "absl/strings/str_format.h"

namespace leaktrace::hooks {
namespace {

using format::HookRole;

constexpr std::size_t kMaxInner = 600;  // inner functions of an allocator; more means that the closure went astray
constexpr std::size_t kMaxFunctionBytes = 32 << 10;
constexpr std::size_t kMaxUses =
    64;  // of an inner function; more means that others have the same code (folded by the linker)
constexpr std::size_t kMaxSteps = 3'000;  // instructions of a candidate: the functions that are looked for are simple
constexpr int kLevels = 3;                // of functions that hand their argument on

}  // namespace

std::vector<std::uint64_t> HeapFunctions::Callees(const Extent& extent) const {
  std::vector<std::uint64_t> callees;
  const auto code = image_.Code(extent.begin, std::min<std::uint64_t>(extent.end - extent.begin, kMaxFunctionBytes));
  interpreter_.ForEachBranch(extent.begin, code, [&](std::uint64_t, std::uint64_t target, bool) {
    if (!extent.Holds(target) && image_.text().Holds(target)) callees.push_back(target);
  });
  std::sort(callees.begin(), callees.end());
  callees.erase(std::unique(callees.begin(), callees.end()), callees.end());
  return callees;
}

// By the raw bytes: a match may lie inside of another instruction.
bool HeapFunctions::MayBranchTo(const Extent& extent, const AddressSet& targets) const {
  constexpr std::size_t kBranch = 5;
  const auto code = image_.Code(extent.begin, extent.end - extent.begin);
  for (std::size_t i = 0; i + kBranch <= code.size(); ++i) {
    if ((code[i] & 0xfe) != 0xe8) continue;
    std::int32_t displacement;
    std::memcpy(&displacement, code.data() + i + 1, sizeof displacement);
    if (targets.contains(image_.Resolve(extent.begin + i + kBranch + static_cast<std::int64_t>(displacement))))
      return true;
  }
  return false;
}

HeapFunctions::AddressSet HeapFunctions::Closure(const std::vector<std::uint64_t>& roots, const RoleMap& roles) const {
  AddressSet closure;
  std::vector<std::uint64_t> pending = roots;
  while (!pending.empty() && closure.size() < kMaxInner) {
    const std::uint64_t address = pending.back();
    pending.pop_back();
    if (roles.contains(address) || !closure.insert(address).second) continue;
    const auto extent = finder_.Containing(address);
    if (!extent) continue;
    for (const std::uint64_t callee : Callees({address, extent->end})) pending.push_back(callee);
  }
  return closure;
}

bool HeapFunctions::Forwards(const FunctionSummary& summary, const AddressSet& enders) const {
  for (const Path& path : summary.paths) {
    for (const CallEvent& call : path.calls) {
      if (enders.contains(call.target) && call.target != summary.begin && pool_.Argument(call.arguments[0]) == 0)
        return true;
    }
  }
  return false;
}

bool HeapFunctions::EndsFirstArgument(const FunctionSummary& summary, const RoleMap& roles,
                                      const AddressSet& enders) const {
  for (const Path& path : summary.paths) {
    for (const ListOperation& list : path.lists) {
      if (IsPush(pool_, list, path, shape_) && path.reads_thread && pool_.Argument(list.block) == 0) return true;
    }
    for (const CallEvent& call : path.calls) {
      const auto role = roles.find(call.target);
      if (role == roles.end() || role->second.role != HookRole::kFree) continue;
      if (pool_.Argument(call.arguments[static_cast<std::size_t>(role->second.pointer)]) == 0) return true;
    }
  }
  return Forwards(summary, enders);
}

RoleMap HeapFunctions::Find(const RoleMap& roles, const absl::flat_hash_set<std::uint64_t>& members) {
  // What frees a page when its last block is freed: the functions in which a free ends after its push.
  std::vector<std::uint64_t> frees, page_frees, slow_paths;
  for (const auto& [address, role] : roles) {
    const auto extent = finder_.Containing(address);
    if (!extent) continue;
    if (role.role == HookRole::kFree) {
      frees.push_back(address);
      const FunctionSummary summary = interpreter_.Run({address, extent->end});
      for (const Path& path : summary.paths) {
        const bool pushed = std::any_of(path.lists.begin(), path.lists.end(),
                                        [&](const ListOperation& list) { return IsPush(pool_, list, path, shape_); });
        for (const CallEvent& call : path.calls) {
          if (pushed && call.target != 0 && !roles.contains(call.target)) page_frees.push_back(call.target);
        }
      }
    } else if (role.heap >= 0) {
      for (const std::uint64_t callee : Callees({address, extent->end})) slow_paths.push_back(callee);
    }
  }
  const AddressSet pages = Closure(page_frees, roles);
  std::vector<std::uint64_t> roots = slow_paths;
  roots.insert(roots.end(), page_frees.begin(), page_frees.end());
  const AddressSet inner = Closure(roots, roles);
  if (inner.size() >= kMaxInner) return {};

  // Who may end a heap: functions that call inner functions, or frees that the program hardly calls.
  std::vector<std::uint64_t> targets(inner.begin(), inner.end());
  targets.insert(targets.end(), frees.begin(), frees.end());
  std::map<std::uint64_t, FunctionSummary> summaries;
  AddressSet ends(frees.begin(), frees.end());
  SummarizeCallers(targets, roles, ends, members, summaries);
  AddressSet enders;
  for (int level = 0; level < kLevels; ++level) {
    std::vector<std::uint64_t> found;
    for (const auto& [begin, summary] : summaries) {
      if (!enders.contains(begin) && EndsFirstArgument(summary, roles, enders)) found.push_back(begin);
    }
    if (found.empty()) break;
    enders.insert(found.begin(), found.end());
    ends.insert(found.begin(), found.end());
    SummarizeCallers(found, roles, ends, members, summaries);
  }

  AddressSet api;  // those that ask whether it is the main heap, or the empty one, that must not be ended
  for (const std::uint64_t ender : enders) {
    const auto& paths = summaries.at(ender).paths;
    if (std::any_of(paths.begin(), paths.end(), [](const Path& path) { return path.compares_itself; }))
      api.insert(ender);
  }
  const bool speaks = std::any_of(api.begin(), api.end(),
                                  [&](std::uint64_t address) { return Says(summaries.at(address), "destroy"); });
  RoleMap heaps;
  for (const std::uint64_t address : api) {
    const FunctionSummary& summary = summaries.at(address);
    // What a sibling hands its heap to only ends the heap itself, or moves the blocks elsewhere first.
    const bool fallback = std::any_of(api.begin(), api.end(), [&](std::uint64_t other) {
      return other != address && Forwards(summaries.at(other), {address});
    });
    const AddressSet reached = Closure(Callees({summary.begin, summary.end}), roles);
    const bool gives_back =
        std::any_of(reached.begin(), reached.end(), [&](std::uint64_t callee) { return pages.contains(callee); });
    Role role;
    const bool destroys = !fallback && gives_back && !Says(summary, "delete") && (!speaks || Says(summary, "destroy"));
    role.role = destroys ? HookRole::kHeapDestroy : HookRole::kHeapDelete;
    role.heap = 0;
    role.evidence = absl::StrFormat("ends by freeing its argument 0, unless that is one particular object%s",
                                    destroys ? ", and gives pages back" : "");
    heaps[address] = std::move(role);
  }
  return heaps;
}

// Adds the functions that branch to one of `targets`, but for targets that many do, and that can end their argument at
// all: they call one of `ends`, or put blocks back themselves.
void HeapFunctions::SummarizeCallers(const std::vector<std::uint64_t>& targets, const RoleMap& roles,
                                     const AddressSet& ends, const AddressSet& members,
                                     std::map<std::uint64_t, FunctionSummary>& summaries) {
  const auto branches = scan_.BranchesTo(targets);
  std::map<std::uint64_t, std::size_t> uses;
  for (const BranchSite& branch : branches) ++uses[branch.target];
  for (const BranchSite& branch : branches) {
    if (uses[branch.target] > kMaxUses) continue;
    const auto extent = finder_.Containing(branch.address);
    if (!extent || roles.contains(extent->begin) || summaries.contains(extent->begin)) continue;
    const bool can = members.contains(extent->begin) || MayBranchTo(*extent, ends);
    if (can) summaries[extent->begin] = interpreter_.Run(*extent, kMaxSteps);
  }
}

// Whether a message that the function passes on contains `word`.
bool HeapFunctions::Says(const FunctionSummary& summary, std::string_view word) const {
  for (const Path& path : summary.paths) {
    for (const CallEvent& call : path.calls) {
      for (const ExpressionId argument : call.arguments) {
        if (!pool_.IsConstant(argument)) continue;
        const std::string_view text = image_.TextAt(static_cast<std::uint64_t>(pool_[argument].value));
        if (text.find("heap") != std::string_view::npos && text.find(word) != std::string_view::npos) return true;
      }
    }
  }
  return false;
}

}  // namespace leaktrace::hooks
