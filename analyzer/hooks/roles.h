// From what a function does to what it is for its callers: allocate, reallocate or free, and which argument is what.
//
// A role is derived bottom-up, from the pops and pushes in the function and from the roles of what it calls, and
// top-down, from how a function with a known role passes its arguments on to its slow path. Nothing is assumed of
// registers beyond the System V ABI.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "analyzer/hooks/expression.h"
#include "analyzer/hooks/function_summary.h"
#include "format/hook_map.h"

namespace leaktrace::hooks {

// The fields of an allocator's page that its list operations use: what makes a pop or push one of this allocator.
struct PageShape {
  std::int64_t free_offset = 0;        // the list that pops take from
  std::int64_t local_free_offset = 0;  // the list that pushes put on
  std::int64_t used_offset = 0;        // the count of used blocks
  friend bool operator==(const PageShape&, const PageShape&) = default;
};

struct Role {
  format::HookRole role = format::HookRole::kNone;
  int size = -1, count = -1, alignment = -1, pointer = -1, heap = -1, out = -1;  // numbers of arguments, -1 = none
  bool zeroes = false;
  bool frees_on_failure = false;
  bool adjusts = false;  // what it returns is not the block's start
  std::string evidence;
  friend bool operator==(const Role&, const Role&) = default;
  [[nodiscard]] bool Allocates() const {
    return role == format::HookRole::kAllocate || role == format::HookRole::kReallocate ||
           role == format::HookRole::kPosixMemalign;
  }
};

using RoleMap = absl::flat_hash_map<std::uint64_t, Role>;

bool IsPop(const ExpressionPool& pool, const ListOperation& list, const Path& path, const PageShape& shape);
bool IsPush(const ExpressionPool& pool, const ListOperation& list, const Path& path, const PageShape& shape);

class RoleInference {
 public:
  RoleInference(ExpressionPool& pool, const PageShape& shape) : pool_(pool), shape_(shape) {}

  // The role of a function by what it does itself and by the roles of what it calls; kNone where it cannot be told, or
  // where the function does more than that (its pops and pushes must then be watched one by one).
  Role FromBody(const FunctionSummary& summary, const RoleMap& roles) const;
  // The role of `callee` as a caller with the role `role` uses it as its slow path; kNone where it does not.
  Role FromCaller(const FunctionSummary& caller, const Role& role, std::uint64_t callee, const RoleMap& roles) const;

  // The requested size that led to `page` (a slot in an array of pages by size), and the heap that holds that array; -1
  // where the page was not found that way.
  struct PageOrigin {
    ExpressionId size = -1, heap = -1;
  };
  PageOrigin OriginOf(ExpressionId page) const;

 private:
  struct Facts;
  void Gather(const Path& path, const RoleMap& roles, Facts& facts) const;
  void AddSource(const CallEvent& call, const Role& callee, Facts& facts) const;
  bool Zeroes(const Path& path, ExpressionId block) const;
  void AddHeap(ExpressionId heap, const Path& path, Facts& facts) const;
  bool Reduce(const Facts& facts, Role& role) const;

  ExpressionPool& pool_;
  const PageShape shape_;
};

}  // namespace leaktrace::hooks
