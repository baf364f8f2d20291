#include "analyzer/hooks/mimalloc.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "analyzer/hooks/function_finder.h"
#include "analyzer/hooks/heap_functions.h"
#include "analyzer/hooks/interpreter.h"
#include "analyzer/hooks/relocate.h"
#include "analyzer/hooks/roles.h"

namespace leaktrace::hooks {
namespace {

using format::EntryPoint;
using format::HookRole;

constexpr int kRounds = 6;           // of deriving roles from roles
constexpr std::uint64_t kNear = 32;  // bytes between a list's store and its count's update
constexpr std::size_t kMaxPrologue = 64;
constexpr int kSiteSteps = 4;  // instructions before a site's store at which it may be watched

struct Site {
  std::uint64_t address = 0;  // of the store to the list
  bool push = false, reads_thread = false;
  std::int8_t page_register = -1, block_register = -1;
};

struct Function {
  Extent extent;
  FunctionSummary summary;
  std::vector<Site> sites;
};

// All that is known of one copy of mimalloc while it is searched.
class Search {
 public:
  Search(const Image& image, const CodeScan& scan)
      : image_(image), scan_(scan), finder_(image, scan), interpreter_(image, finder_, pool_) {}

  std::vector<FoundAllocator> Run();

 private:
  void FindUpdates();
  void Summarize(const PageShape& shape);
  std::vector<PageShape> Shapes();
  void CollectSites(const PageShape& shape);
  std::optional<FoundAllocator> Find(const PageShape& shape);
  void DeriveRoles(const RoleInference& inference);
  bool Exchanges(std::uint64_t address);
  void AddAdjusters(const RoleInference& inference);
  std::string Generation() const;
  void FindBlockSize(const PageShape& shape, FoundAllocator& out) const;
  void Cover(FoundAllocator& out);
  bool CoveredByCallers(std::uint64_t begin, const absl::flat_hash_set<std::uint64_t>& known, std::string& why) const;
  FoundEntry MakeEntry(std::uint64_t address, const Role& role) const;
  FoundEntry MakeSite(const Function& function, const Site& site);
  void PrepareSite(FoundEntry& entry, const Function& function, const Site& site);
  void Prepare(FoundEntry& entry, const Extent& extent) const;

  const Image& image_;
  const CodeScan& scan_;
  ExpressionPool pool_;
  FunctionFinder finder_;
  Interpreter interpreter_;
  // A place where a list and a count of the same object change together.
  struct Update {
    std::uint64_t address;
    Extent extent;
    FunctionSummary loosely;
  };
  std::vector<Update> updates_;
  std::map<std::uint64_t, Function> functions_;  // by their first address
  // Of the shape that is being searched:
  PageShape shape_;
  std::map<std::uint64_t, Function*> members_;  // functions with list operations
  RoleMap roles_;
  RoleMap heaps_;                     // functions that end a heap
  std::vector<BranchSite> branches_;  // to members and other functions with roles
};

std::vector<FoundAllocator> Search::Run() {
  FindUpdates();
  std::vector<FoundAllocator> found;
  for (const PageShape& shape : Shapes()) {
    if (auto allocator = Find(shape)) found.push_back(std::move(*allocator));
  }
  return found;
}

// Whether a list's head and a count of the same object change together.
bool UpdatesList(const ExpressionPool& pool, const FunctionSummary& summary) {
  for (const Path& path : summary.paths) {
    for (const ListOperation& list : path.lists) {
      for (const CountUpdate& count : path.counts) {
        const bool same = pool.Difference(count.count, list.list) == count.offset - list.offset;
        if (same && count.offset != list.offset && (list.push ? count.delta < 0 : count.delta > 0)) return true;
      }
    }
  }
  return false;
}

void Search::FindUpdates() {
  for (const std::uint64_t candidate : scan_.CountUpdates()) {
    FunctionSummary summary = interpreter_.RunAround(candidate, true);
    if (!UpdatesList(pool_, summary)) continue;
    if (const auto extent = finder_.Containing(candidate)) updates_.push_back({candidate, *extent, std::move(summary)});
  }
}

// Page layouts for which there are both pops and pushes that keep the same count.
std::vector<PageShape> Search::Shapes() {
  std::map<std::pair<std::int64_t, std::int64_t>, std::set<std::uint64_t>> pops, pushes;  // (list, count) -> functions
  for (const Update& update : updates_) {
    const FunctionSummary exact = interpreter_.RunAround(update.address, false);
    for (const Path& path : exact.paths) {
      for (const ListOperation& list : path.lists) {
        for (const CountUpdate& count : path.counts) {
          if (count.offset == list.offset || pool_.Difference(count.count, list.list) != count.offset - list.offset)
            continue;
          const bool up = count.delta == 1 || count.delta == 0x10001;
          if (list.push ? count.delta != -1 : !up) continue;
          (list.push ? pushes : pops)[{list.offset, count.offset}].insert(update.extent.begin);
        }
      }
    }
  }
  std::vector<PageShape> shapes;
  for (const auto& [pop, popping] : pops) {
    for (const auto& [push, pushing] : pushes) {
      if (pop.second == push.second && pop.first != push.first && popping.size() >= 2)
        shapes.push_back({pop.first, push.first, pop.second});
    }
  }
  return shapes;
}

// Runs the functions around updates of this shape.
void Search::Summarize(const PageShape& shape) {
  functions_.clear();
  for (const Update& update : updates_) {
    if (functions_.contains(update.extent.begin)) continue;
    const auto fits = [&](const Path& path) {
      return std::any_of(path.lists.begin(), path.lists.end(), [&](const ListOperation& list) {
        return IsPop(pool_, list, path, shape) || IsPush(pool_, list, path, shape);
      });
    };
    if (std::none_of(update.loosely.paths.begin(), update.loosely.paths.end(), fits)) continue;
    functions_[update.extent.begin] = {update.extent, interpreter_.Run(update.extent), {}};
  }
}

void Search::CollectSites(const PageShape& shape) {
  const auto collect = [&](const FunctionSummary& summary, Function& function) {
    for (const Path& path : summary.paths) {
      for (const ListOperation& list : path.lists) {
        if ((!IsPop(pool_, list, path, shape) && !IsPush(pool_, list, path, shape)) ||
            !function.extent.Holds(list.address))
          continue;
        auto it = std::find_if(function.sites.begin(), function.sites.end(),
                               [&](const Site& site) { return site.address == list.address; });
        if (it == function.sites.end()) {
          function.sites.push_back({list.address, list.push, false, list.page_register, list.block_register});
          it = function.sites.end() - 1;
        }
        it->reads_thread |= path.reads_thread;
      }
    }
  };
  for (auto& [begin, function] : functions_) {
    function.sites.clear();
    collect(function.summary, function);
  }
  // Sites that no explored path reaches: run the instructions just before them.
  for (const Update& update : updates_) {
    const std::uint64_t candidate = update.address;
    const auto found = functions_.find(update.extent.begin);
    if (found == functions_.end()) continue;
    Function& function = found->second;
    const bool known = std::any_of(function.sites.begin(), function.sites.end(), [&](const Site& site) {
      return site.address + kNear > candidate && site.address < candidate + kNear;
    });
    if (known) continue;
    collect(interpreter_.RunAround(candidate, false), function);
  }
}

// What a function calls directly; with `tail_only`, what it ends in.
std::set<std::uint64_t> Callees(const FunctionSummary& summary, bool tail_only) {
  std::set<std::uint64_t> callees;
  for (const Path& path : summary.paths) {
    for (const CallEvent& call : path.calls) {
      if (call.target != 0 && (call.tail || !tail_only)) callees.insert(call.target);
    }
  }
  return callees;
}

// Whether the function at `address` puts something on a list that threads share.
bool Search::Exchanges(std::uint64_t address) {
  const auto [it, inserted] = functions_.try_emplace(address);
  Function& function = it->second;
  if (inserted) {
    const auto extent = finder_.Containing(address);
    function.extent = {address, extent ? extent->end : address};
    function.summary = interpreter_.Run(function.extent);
  }
  return std::any_of(function.summary.paths.begin(), function.summary.paths.end(),
                     [](const Path& path) { return path.exchanges; });
}

void Search::DeriveRoles(const RoleInference& inference) {
  RoleMap from_callers;
  for (int round = 0; round < kRounds; ++round) {
    const std::size_t before = from_callers.size();
    bool changed = false;
    for (const auto& [begin, function] : members_) {
      Role role = inference.FromBody(function->summary, roles_);
      if (role.role == HookRole::kNone) continue;
      Role& known = roles_[begin];
      changed |= role != known;
      known = std::move(role);
      from_callers.erase(begin);
    }
    RoleMap derived;
    for (const auto& [begin, role] : roles_) {
      const auto it = functions_.find(begin);
      if (it == functions_.end()) continue;
      for (const std::uint64_t target : Callees(it->second.summary, role.role == HookRole::kFree)) {
        if (roles_.contains(target) || derived.contains(target)) continue;
        if (!members_.contains(target) && !(role.role == HookRole::kFree && Exchanges(target))) continue;
        Role slow = inference.FromCaller(it->second.summary, role, target, roles_);
        if (slow.role != HookRole::kNone) derived[target] = std::move(slow);
      }
    }
    for (auto& [address, role] : derived) {
      roles_[address] = role;
      from_callers[address] = std::move(role);
    }
    if (!changed && from_callers.size() == before) break;
  }
}

// Functions without a pop of their own that return a place inside of the block that an entry gave them.
void Search::AddAdjusters(const RoleInference& inference) {
  std::vector<std::uint64_t> targets;
  for (const auto& [begin, role] : roles_) {
    if (role.heap >= 0 && role.Allocates()) targets.push_back(begin);
  }
  absl::flat_hash_set<std::uint64_t> seen;
  for (const BranchSite& branch : scan_.BranchesTo(targets)) {
    const auto extent = finder_.Containing(branch.address);
    if (!extent || roles_.contains(extent->begin) || !seen.insert(extent->begin).second) continue;
    FunctionSummary summary = interpreter_.Run(*extent);
    Role role = inference.FromBody(summary, roles_);
    if (!role.Allocates() || !role.adjusts || role.alignment < 0) continue;
    functions_[extent->begin] = {*extent, std::move(summary), {}};
    roles_[extent->begin] = std::move(role);
  }
}

// v2 finds a page's segment by masking the pointer, v3 looks the page up in a map.
std::string Search::Generation() const {
  int masks = 0, maps = 0;
  for (const auto& [begin, function] : members_) {
    for (const Path& path : function->summary.paths) {
      for (const ListOperation& list : path.lists) {
        if (!IsPush(pool_, list, path, shape_)) continue;
        if (pool_.Argument(list.block) < 0 || pool_.Argument(list.page) >= 0) continue;
        (pool_[list.page].operation == Operation::kLoad ? maps : masks) += 1;
      }
    }
  }
  return maps > masks ? "mimalloc v3" : "mimalloc v2";
}

// Zeroing a block takes its size from the page: memset(block, 0, page->block_size).
void Search::FindBlockSize(const PageShape& shape, FoundAllocator& out) const {
  std::map<std::pair<std::int64_t, std::int64_t>, int> votes;
  for (const auto& [begin, function] : members_) {
    for (const Path& path : function->summary.paths) {
      for (const ListOperation& list : path.lists) {
        if (!IsPop(pool_, list, path, shape)) continue;
        for (const CallEvent& call : path.calls) {
          if (call.arguments[0] != list.block || !pool_.IsConstant(call.arguments[1], 0)) continue;
          const Expression& length = pool_[call.arguments[2]];
          if (length.operation != Operation::kLoad) continue;
          const auto offset = pool_.Difference(length.a, list.page);
          if (offset && *offset > 0 && *offset < 0x80) ++votes[{*offset, length.value}];
        }
      }
    }
  }
  const auto most =
      std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == votes.end()) return;
  out.block_size_offset = static_cast<std::uint8_t>(most->first.first);
  out.block_size_bytes = static_cast<std::uint8_t>(most->first.second);
}

std::optional<FoundAllocator> Search::Find(const PageShape& shape) {
  shape_ = shape;
  members_.clear();
  roles_.clear();
  Summarize(shape);
  CollectSites(shape);
  for (auto& [begin, function] : functions_) {
    if (!function.sites.empty()) members_[begin] = &function;
  }
  const RoleInference inference(pool_, shape);
  DeriveRoles(inference);
  const bool allocates =
      std::any_of(roles_.begin(), roles_.end(), [](const auto& role) { return role.second.Allocates(); });
  const bool frees =
      std::any_of(roles_.begin(), roles_.end(), [](const auto& role) { return role.second.role == HookRole::kFree; });
  if (!allocates || !frees) return std::nullopt;
  AddAdjusters(inference);
  absl::flat_hash_set<std::uint64_t> members;
  for (const auto& [begin, function] : members_) members.insert(begin);
  heaps_ = HeapFunctions(image_, scan_, finder_, interpreter_, pool_, shape).Find(roles_, members);
  FoundAllocator out;
  out.name = Generation();
  FindBlockSize(shape, out);
  Cover(out);
  return out;
}

// Whether every way into the function at `begin` comes from functions in `known`.
bool Search::CoveredByCallers(std::uint64_t begin, const absl::flat_hash_set<std::uint64_t>& known,
                              std::string& why) const {
  std::set<std::uint64_t> callers;
  for (const BranchSite& branch : branches_) {
    if (branch.target != begin) continue;
    const auto extent = finder_.Containing(branch.address);
    if (!extent) return false;
    if (extent->begin == begin) continue;
    if (!known.contains(extent->begin)) return false;
    callers.insert(extent->begin);
  }
  if (callers.empty()) return false;
  why = absl::StrFormat("%#x is reached only from %s", begin,
                        absl::StrJoin(callers, ", ", [](std::string* text, std::uint64_t a) {
                          absl::StrAppend(text, absl::StrFormat("%#x", a));
                        }));
  return true;
}

// Decides for each function with list operations: an entry point, covered by entry points, or watched site by site.
void Search::Cover(FoundAllocator& out) {
  std::vector<std::uint64_t> addresses;
  for (const auto& [begin, function] : members_) addresses.push_back(begin);
  for (const auto& [begin, role] : roles_) addresses.push_back(begin);
  branches_ = scan_.BranchesTo(addresses);
  const std::vector<std::uint64_t> taken = scan_.TakenAddresses(addresses);

  absl::flat_hash_set<std::uint64_t> known;  // entries and what only they reach
  for (const auto& [begin, role] : roles_) known.insert(begin);
  std::map<std::uint64_t, std::string> covered;
  // First everything with a role is an entry; then those are given up that only others reach.
  for (bool changed = true; changed;) {
    changed = false;
    for (const std::uint64_t address : addresses) {
      std::string why;
      if (known.contains(address) || std::binary_search(taken.begin(), taken.end(), address) ||
          !CoveredByCallers(address, known, why))
        continue;
      known.insert(address);
      covered[address] = why;
      changed = true;
    }
  }
  for (const std::uint64_t address : addresses) {
    std::string why;
    if (!roles_.contains(address) || covered.contains(address)) continue;
    absl::flat_hash_set<std::uint64_t> others = known;
    others.erase(address);
    if (std::binary_search(taken.begin(), taken.end(), address) || !CoveredByCallers(address, others, why)) continue;
    covered[address] = why;
  }
  std::set<std::uint64_t> listed;
  for (const std::uint64_t address : addresses) {
    if (!listed.insert(address).second) continue;
    const auto member = members_.find(address);
    if (member != members_.end()) {
      for (const Site& site : member->second->sites) ++(site.push ? out.pushes : out.pops);
    }
    if (const auto it = covered.find(address); it != covered.end()) {
      out.covered.push_back(it->second);
      continue;
    }
    if (const auto role = roles_.find(address); role != roles_.end()) {
      out.entries.push_back(MakeEntry(address, role->second));
      continue;
    }
    for (const Site& site : member->second->sites) {
      if (site.push && !site.reads_thread) {
        out.covered.push_back(absl::StrFormat(
            "%#x puts back a block that another thread had freed before: it does not ask whose page it is",
            site.address));
        continue;
      }
      out.entries.push_back(MakeSite(*member->second, site));
    }
  }
  for (const auto& [address, role] : heaps_) out.entries.push_back(MakeEntry(address, role));
  for (const FoundEntry& entry : out.entries) {
    if (!entry.refused.empty()) out.uncovered.push_back(entry.refused);
  }
  std::sort(out.entries.begin(), out.entries.end(),
            [](const FoundEntry& a, const FoundEntry& b) { return a.hook.address < b.hook.address; });
}

std::string RoleName(const Role& role) {
  const std::string heap = role.heap >= 0 ? "heap " : "";
  switch (role.role) {
    case HookRole::kAllocate:
      if (role.alignment >= 0)
        return heap + (role.count >= 0 ? "calloc aligned" : role.zeroes ? "zalloc aligned" : "malloc aligned");
      return heap + (role.count >= 0 ? "calloc" : role.zeroes ? "zalloc" : "malloc");
    case HookRole::kReallocate:
      return heap + (role.frees_on_failure ? "reallocf" : "realloc") + (role.alignment >= 0 ? " aligned" : "");
    case HookRole::kPosixMemalign:
      return "posix_memalign";
    case HookRole::kFree:
      return "free";
    case HookRole::kHeapDestroy:
      return "heap destroy";
    case HookRole::kHeapDelete:
      return "heap delete";
    default:
      return "unknown";
  }
}

EntryPoint EntryPointOf(const Role& role) {
  switch (role.role) {
    case HookRole::kAllocate:
      if (role.alignment >= 0) return EntryPoint::kMemalign;
      return role.count >= 0 ? EntryPoint::kCalloc : role.zeroes ? EntryPoint::kZalloc : EntryPoint::kMalloc;
    case HookRole::kReallocate:
      return role.frees_on_failure ? EntryPoint::kReallocf : EntryPoint::kRealloc;
    case HookRole::kPosixMemalign:
      return EntryPoint::kPosixMemalign;
    case HookRole::kFree:
      return EntryPoint::kFree;
    case HookRole::kHeapDestroy:
      return EntryPoint::kHeapDestroy;
    case HookRole::kHeapDelete:
      return EntryPoint::kHeapDelete;
    default:
      return EntryPoint::kUnknown;
  }
}

std::uint8_t RegisterOf(int argument) {
  return argument < 0 ? format::kNoRegister : static_cast<std::uint8_t>(argument);
}

FoundEntry Search::MakeEntry(std::uint64_t address, const Role& role) const {
  FoundEntry entry;
  entry.hook.address = address;
  entry.hook.role = role.role;
  entry.hook.entry = EntryPointOf(role);
  entry.hook.size_register = RegisterOf(role.size);
  entry.hook.count_register = RegisterOf(role.count);
  entry.hook.alignment_register = RegisterOf(role.alignment);
  entry.hook.pointer_register = RegisterOf(role.pointer);
  entry.hook.heap_register = RegisterOf(role.heap);
  entry.hook.out_register = RegisterOf(role.out);
  entry.hook.zeroes = role.zeroes ? 1 : 0;
  entry.hook.flags = static_cast<std::uint8_t>((role.frees_on_failure ? format::kHookFreesOnFailure : 0) |
                                               (role.adjusts ? format::kHookAdjusts : 0));
  entry.name = RoleName(role);
  entry.symbol = image_.NameAt(address);
  entry.evidence.push_back(role.evidence);
  if (const auto extent = finder_.Containing(address)) Prepare(entry, {address, extent->end});
  return entry;
}

FoundEntry Search::MakeSite(const Function& function, const Site& site) {
  FoundEntry entry;
  entry.hook.address = site.address;
  entry.hook.role = site.push ? HookRole::kFreeSite : HookRole::kAllocateSite;
  entry.hook.entry = site.push ? EntryPoint::kFree : EntryPoint::kMalloc;
  entry.hook.size_register = entry.hook.count_register = entry.hook.alignment_register = entry.hook.out_register =
      format::kNoRegister;
  entry.hook.pointer_register = static_cast<std::uint8_t>(site.block_register);
  entry.hook.heap_register = static_cast<std::uint8_t>(site.page_register);
  entry.name = site.push ? "free site" : "allocation site";
  entry.symbol = image_.NameAt(function.extent.begin);
  entry.evidence.push_back(absl::StrFormat("%s inside of the function at %#x, which is more than an entry point",
                                           site.push ? "a push" : "a pop", function.extent.begin));
  if (site.block_register < 0 || site.page_register < 0) {
    entry.refused = absl::StrFormat("%#x: its block or page is in no register", site.address);
    return entry;
  }
  PrepareSite(entry, function, site);
  return entry;
}

void Search::Prepare(FoundEntry& entry, const Extent& extent) const {
  const auto code = image_.Code(entry.hook.address, kMaxPrologue);
  const auto moved = RelocatePrologue(entry.hook.address, code);
  if (!moved.ok()) {
    entry.refused = std::string(moved.status().message());
    return;
  }
  const std::uint64_t end = entry.hook.address + moved->displaced;
  if (HasBranchInto(extent.begin, image_.Code(extent.begin, extent.end - extent.begin), entry.hook.address, end)) {
    entry.refused = absl::StrFormat("%#x: a branch goes into its first %d bytes", entry.hook.address, moved->displaced);
    return;
  }
  entry.refused.clear();
  entry.hook.displaced_bytes = static_cast<std::uint8_t>(moved->displaced);
  entry.hook.relocated_bytes = static_cast<std::uint8_t>(moved->relocated);
  entry.hook.fixup_count = static_cast<std::uint8_t>(moved->fixup_count);
  std::copy(std::begin(moved->fixups), std::end(moved->fixups), std::begin(entry.hook.fixups));
  std::copy_n(code.data(), moved->displaced, entry.hook.original);
  std::copy(std::begin(moved->bytes), std::end(moved->bytes), std::begin(entry.hook.relocated));
}

// A site may be watched a little earlier too, as far back as its block and page are in the same registers: where a
// branch goes to the instructions right after it, there is no room at the site itself.
void Search::PrepareSite(FoundEntry& entry, const Function& function, const Site& site) {
  Prepare(entry, function.extent);
  std::uint64_t place = site.address;
  const unsigned kept = 1u << site.block_register | 1u << site.page_register;
  for (int back = 0; back < kSiteSteps && !entry.refused.empty(); ++back) {
    const auto before = interpreter_.StraightBefore(place, function.extent, kept);
    if (!before) return;
    place = entry.hook.address = *before;
    Prepare(entry, function.extent);
  }
}

}  // namespace

std::vector<FoundAllocator> FindMimalloc(const Image& image, const CodeScan& scan) { return Search(image, scan).Run(); }

}  // namespace leaktrace::hooks
