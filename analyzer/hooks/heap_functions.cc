#include "analyzer/hooks/heap_functions.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_format.h"

namespace leaktrace::hooks {
namespace {

using format::HookRole;

constexpr std::size_t kMaxInner = 600;  // inner functions of an allocator; more means that the closure went astray
constexpr std::size_t kMaxFunctionBytes = 32 << 10;
constexpr std::size_t kMaxUses =
    64;                     // of an inner function; more means that others have the same code (folded by the linker)
constexpr int kLevels = 3;  // of functions that hand their argument on

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

RoleMap HeapFunctions::Find(const RoleMap& roles) {
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

  // Functions that call inner functions, and of those the ones that end their first argument.
  std::map<std::uint64_t, Extent> callers;
  const auto branches = scan_.BranchesTo(std::vector<std::uint64_t>(inner.begin(), inner.end()));
  std::map<std::uint64_t, std::size_t> uses;
  for (const BranchSite& branch : branches) ++uses[branch.target];
  for (const BranchSite& branch : branches) {
    if (uses[branch.target] > kMaxUses) continue;
    const auto extent = finder_.Containing(branch.address);
    if (extent && !roles.contains(extent->begin)) callers.try_emplace(extent->begin, *extent);
  }
  AddressSet enders;
  std::map<std::uint64_t, FunctionSummary> summaries;
  for (const auto& [begin, extent] : callers) summaries[begin] = interpreter_.Run(extent);
  for (int level = 0; level < kLevels; ++level) {
    AddressSet found;
    for (const auto& [begin, summary] : summaries) {
      if (!enders.contains(begin) && EndsFirstArgument(summary, roles, enders)) found.insert(begin);
    }
    if (found.empty()) break;
    enders.insert(found.begin(), found.end());
  }

  // The program itself calls the API; the rest is called by the allocator alone.
  AddressSet api;
  for (const BranchSite& branch : scan_.BranchesTo(std::vector<std::uint64_t>(enders.begin(), enders.end()))) {
    const auto extent = finder_.Containing(branch.address);
    if (!extent || inner.contains(extent->begin) || callers.contains(extent->begin) || roles.contains(extent->begin))
      continue;
    api.insert(branch.target);
  }
  for (const std::uint64_t taken : scan_.TakenAddresses(std::vector<std::uint64_t>(enders.begin(), enders.end())))
    api.insert(taken);
  for (const std::uint64_t ender : enders) {
    if (!image_.NameAt(ender).empty()) api.insert(ender);
  }
  RoleMap heaps;
  for (const std::uint64_t address : api) {
    // What a sibling falls back to only moves the blocks elsewhere.
    const bool fallback = std::any_of(api.begin(), api.end(), [&](std::uint64_t other) {
      return other != address && Forwards(summaries[other], {address});
    });
    const auto callees = Callees({callers.at(address).begin, callers.at(address).end});
    const AddressSet reached = Closure(callees, roles);
    const bool gives_back =
        std::any_of(reached.begin(), reached.end(), [&](std::uint64_t callee) { return pages.contains(callee); });
    Role role;
    role.role = !fallback && gives_back ? HookRole::kHeapDestroy : HookRole::kHeapDelete;
    role.heap = 0;
    role.evidence = absl::StrFormat("ends by freeing its argument 0, which is no block of a page's user%s",
                                    role.role == HookRole::kHeapDestroy ? ", and gives pages back" : "");
    heaps[address] = std::move(role);
  }
  return heaps;
}

}  // namespace leaktrace::hooks
